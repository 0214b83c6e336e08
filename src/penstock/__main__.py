"""`python -m penstock` is the same as `penstock`."""

from penstock.cli.main import main

if __name__ == "__main__":
    main(prog_name="penstock")
