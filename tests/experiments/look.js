// What there is to see on a report's page: evaluated in the browser, returned to the test.
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  // Relative luminance of WCAG 2, of any colour that CSS can name.
  function luminance(colour) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((value) =>
      value <= 10 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function contrast(element, property) {
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    const [dark, light] = [getComputedStyle(element)[property], getComputedStyle(behind).backgroundColor]
      .map(luminance).sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }

  // Texts that are shown, each with its element's own colour.
  function texts() {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (walker.currentNode.data.trim() && !["STYLE", "SCRIPT"].includes(element.tagName) && !element.closest("defs"))
        found.push({
          text: walker.currentNode.data.trim(),
          contrast: contrast(element, element.closest("svg") ? "fill" : "color"),
        });
    }
    return found;
  }

  const shown = (element) => {
    const { width, height } = element.getBoundingClientRect();
    return width + height > 0;
  };

  function plot(figure) {
    const svg = figure.querySelector(":scope > svg");
    const { width, height } = svg.getBoundingClientRect();
    const lines = [...svg.querySelectorAll('[id*="-line-"]')].filter(shown);
    const paths = lines.flatMap((line) => [...line.querySelectorAll("use, path:not(defs *)")]);
    const colours = paths.map((path) => (getComputedStyle(path).fill === "none" ? "stroke" : "fill"));
    return {
      title: figure.querySelector("h3").textContent,
      width,
      height,
      axes: svg.querySelectorAll("text").length,
      labels: [...figure.querySelectorAll(".legend li")].map((label) => label.textContent),
      drawn: [...new Set(lines.map((line) => Number(line.id.match(/-line-(\d+)-\d+$/)[1])))],
      contrasts: paths.map((path, index) => contrast(path, colours[index])),
    };
  }

  return {
    wide: document.scrollingElement.scrollWidth,
    plots: [...document.querySelectorAll("figure")].map(plot),
    texts: texts(),
  };
}
