"""Functions that mean the same to Python and to the kernel.

Each leaves a digit for each thing that it evaluates. Numbers stay so small that nothing wraps.
"""

from __future__ import annotations

from collections.abc import Callable

from penstock.lang import XDP_PASS, Array, Global, Program, Struct, Xdp, array, subprogram, u64, xdp


class Trace(Struct):
    digits: u64


class Pair(Struct):
    left: u64
    right: u64
    items: Array[u64] = array(4)


class Outer(Struct):
    pair: Pair
    pairs: Array[Pair] = array(4)


class Inputs(Struct):
    a: u64
    b: u64


class Results(Struct):
    result: u64
    digits: u64


results = Global(Results)


CASES: dict[str, Callable[[Trace, u64, u64], u64]] = {}


def case(function: Callable[[Trace, u64, u64], u64]) -> Callable[[Trace, u64, u64], u64]:
    CASES[function.__name__] = function
    return function


def program_of(function: Callable[[Trace, u64, u64], u64]) -> Program:
    @xdp
    def program(packet: Xdp) -> int:
        inputs = packet.read(Inputs, 0)
        if inputs is not None:
            t = Trace()
            results.value.result = function(t, inputs.a, inputs.b)
            results.value.digits = t.digits
        return XDP_PASS

    return program


def note(t: Trace, digit: u64) -> u64:
    t.digits = t.digits * 10 + digit
    return digit


def total(first: u64, second: u64 = 7, *, third: u64 = 9) -> u64:
    return first * 100 + second * 10 + third


def both(t: Trace, first: u64) -> tuple[u64, u64]:
    return note(t, first), note(t, first + 1)


def left(pair: Pair) -> u64:
    return pair.left


def left_or(pair: Pair | None, other: u64) -> u64:
    return other if pair is None else pair.left


def fill(pair: Pair, value: u64) -> u64:
    pair.left = value
    return value


def some(pair: Pair, wanted: u64) -> Pair | None:
    return pair if wanted > 1 else None


@subprogram
def apart(t: Trace, digit: u64) -> u64:
    return note(t, digit) + 1


@case
def arithmetic(t: Trace, a: u64, b: u64) -> u64:
    return note(t, 1) + note(t, 2) * note(t, 3) - note(t, 1)


@case
def comparison(t: Trace, a: u64, b: u64) -> u64:
    return u64(note(t, 2) > note(t, 1))


@case
def chain(t: Trace, a: u64, b: u64) -> u64:
    return u64(note(t, 2) < note(t, a) < note(t, b) < note(t, 9))


@case
def chain_of_a_walrus(t: Trace, a: u64, b: u64) -> u64:
    x = a
    return u64(1 < x < (x := b) < 4) + x


@case
def chain_with_constants(t: Trace, a: u64, b: u64) -> u64:
    return u64(1 < 2 < note(t, a) <= 3 < note(t, 5))  # noqa: PLR0133  # known to the compiler


@case
def logic(t: Trace, a: u64, b: u64) -> u64:
    return u64((note(t, a) > 1 and note(t, b) > 1) or note(t, 5) > a)


@case
def logic_of_logic(t: Trace, a: u64, b: u64) -> u64:
    return u64((note(t, a) > 1 or note(t, b) > 1) and not (note(t, 3) > b and note(t, 4) > a))


@case
def membership(t: Trace, a: u64, b: u64) -> u64:
    return u64(note(t, a) in (note(t, 1), note(t, b), note(t, 3)))


@case
def no_membership(t: Trace, a: u64, b: u64) -> u64:
    return u64(note(t, a) not in (note(t, 1), note(t, b), 3))


@case
def membership_of_a_walrus(t: Trace, a: u64, b: u64) -> u64:
    x = a
    return u64(x in ((x := b), x, 3)) + x


@case
def choice(t: Trace, a: u64, b: u64) -> u64:
    return note(t, 1) if note(t, a) > 1 else note(t, 2)


@case
def choice_of_choices(t: Trace, a: u64, b: u64) -> u64:
    return note(t, 1) if a > 1 else note(t, 2) if note(t, b) > 1 else note(t, 3)


@case
def choice_of_literals(t: Trace, a: u64, b: u64) -> u64:
    x = (1 if note(t, a) > 1 else 2) if b > 1 else (3 if note(t, a) > 2 else 4)
    return x + 5


@case
def literals_of_a_choice(t: Trace, a: u64, b: u64) -> u64:
    return a + ((10 if note(t, b) > 1 else 20) * 3 - 1)


@case
def extremes(t: Trace, a: u64, b: u64) -> u64:
    return min(note(t, a), note(t, b)) * 10 + max(note(t, b), note(t, a))


@case
def arguments(t: Trace, a: u64, b: u64) -> u64:
    return total(note(t, 1), note(t, 2))


@case
def arguments_by_name(t: Trace, a: u64, b: u64) -> u64:
    return total(third=note(t, 1), second=note(t, 2), first=note(t, 3))


@case
def some_arguments_by_name(t: Trace, a: u64, b: u64) -> u64:
    return total(note(t, 1), third=note(t, 2))


@case
def in_the_kernel(t: Trace, a: u64, b: u64) -> u64:
    return apart(t, apart(t, 1)) + apart(t, 4)


@case
def struct_fields(t: Trace, a: u64, b: u64) -> u64:
    return left(Pair(right=note(t, 1), left=note(t, 2)))


@case
def structs_between_operands(t: Trace, a: u64, b: u64) -> u64:
    return note(t, 1) + left(Pair(left=note(t, 2))) + note(t, 3)


@case
def structs_between_changes(t: Trace, a: u64, b: u64) -> u64:
    return a + left(Pair(left=(a := 5))) + a


@case
def struct_in_an_operand(t: Trace, a: u64, b: u64) -> u64:
    return u64(note(t, a) > 1 and left(Pair(left=note(t, b))) > 1)


@case
def struct_in_a_choice(t: Trace, a: u64, b: u64) -> u64:
    return left(Pair(left=note(t, 1)) if note(t, a) > 1 else Pair(left=note(t, 2)))


@case
def nested_structs(t: Trace, a: u64, b: u64) -> u64:
    o = Outer(pair=Pair(left=note(t, 1), right=note(t, 2)))
    return o.pair.left * 10 + o.pair.right


@case
def struct_in_a_test(t: Trace, a: u64, b: u64) -> u64:
    while left(Pair(left=note(t, a))) < 3:
        a += 1
    return a


@case
def struct_in_a_range(t: Trace, a: u64, b: u64) -> u64:
    x = u64(0)
    for i in range(left(Pair(left=note(t, 2)))):
        x += i + 1
    return x


@case
def element_after_value(t: Trace, a: u64, b: u64) -> u64:
    p = Pair()
    p.items[note(t, 1) & 3] = note(t, 2)
    return p.items[1]


@case
def element_of_a_changed_index(t: Trace, a: u64, b: u64) -> u64:
    p = Pair()
    i = a & 3
    p.items[i] = (i := 2)
    return p.items[a & 3] * 10 + p.items[2]


@case
def field_of_a_changed_name(t: Trace, a: u64, b: u64) -> u64:
    p = Pair()
    q = Pair()
    p.left = (p := q).left + 5
    return p.left * 10 + q.left


@case
def augmented_element(t: Trace, a: u64, b: u64) -> u64:
    p = Pair()
    p.items[note(t, 1) & 3] += note(t, 2)
    return p.items[1]


@case
def augmented_by_what_changes_it(t: Trace, a: u64, b: u64) -> u64:
    p = Pair(left=a)
    p.left += fill(p, 5)
    return p.left


@case
def augmented_name(t: Trace, a: u64, b: u64) -> u64:
    x = a
    x += (x := 3)
    x *= note(t, 2)
    return x


@case
def assigned_by_what_changes_it(t: Trace, a: u64, b: u64) -> u64:
    p = Pair(left=a)
    p.left = p.left + fill(p, 5)
    return p.left


@case
def pair_of_values(t: Trace, a: u64, b: u64) -> u64:
    x, y = note(t, 1), note(t, 2)
    x, y = y, x + y
    return x * 10 + y


@case
def tuple_of_places(t: Trace, a: u64, b: u64) -> u64:
    p = Pair()
    p.left, p.items[note(t, 1) & 3] = both(t, 2)
    return p.left * 10 + p.items[1]


@case
def tuple_returned_on(t: Trace, a: u64, b: u64) -> u64:
    x, y = both(t, note(t, 1))
    return x * 10 + y


@case
def swapped_references(t: Trace, a: u64, b: u64) -> u64:
    p = Pair(left=1)
    q = Pair(left=2)
    p, q = q, p
    return p.left * 10 + q.left


@case
def walrus(t: Trace, a: u64, b: u64) -> u64:
    x = 1
    return x + (x := note(t, 2)) * x + x


@case
def walrus_in_a_loop(t: Trace, a: u64, b: u64) -> u64:
    x = a
    while (x := x + 1) < 6:
        note(t, x)
    return x


@case
def walrus_in_and(t: Trace, a: u64, b: u64) -> u64:
    x = 4
    if note(t, a) > 1 and (x := note(t, b)) > 1:
        x += 1
    return x


@case
def range_once(t: Trace, a: u64, b: u64) -> u64:
    n = note(t, 3)
    for i in range(n):
        n += 1
        note(t, i + 1)
    return n


@case
def range_from_to(t: Trace, a: u64, b: u64) -> u64:
    x = u64(0)
    for i in range(note(t, 2), note(t, 5)):
        x = x * 10 + i
    return x


@case
def range_of_nothing(t: Trace, a: u64, b: u64) -> u64:
    i = 9
    for i in range(5, 2):  # noqa: B007  # what it leaves is the point
        note(t, 1)
    return i


@case
def range_by_steps(t: Trace, a: u64, b: u64) -> u64:
    x = u64(0)
    for i in range(1, 9, 3):
        x = x * 10 + i
    return x


@case
def range_up_to_a_name(t: Trace, a: u64, b: u64) -> u64:
    x = u64(0)
    n = min(b, 7)
    for i in range(1, n, 2):
        x = x * 10 + i
    return x


@case
def range_down(t: Trace, a: u64, b: u64) -> u64:
    x = u64(0)
    for i in range(5, -1, -2):
        x = x * 10 + u64(i)
    return x


@case
def counter_is_changed(t: Trace, a: u64, b: u64) -> u64:
    x = u64(0)
    for i in range(4):
        i += 5  # noqa: PLW2901  # the range goes on as if nothing had happened
        x = x * 10 + i
    return x


@case
def counter_after_the_loop(t: Trace, a: u64, b: u64) -> u64:
    i = 9
    for i in range(4):
        if i == a:
            break
    return i


@case
def break_and_continue(t: Trace, a: u64, b: u64) -> u64:
    x = u64(0)
    for i in range(9):
        if i == a:
            continue
        if i == 6:
            break
        x = x * 10 + i
    return x


@case
def nested_loops(t: Trace, a: u64, b: u64) -> u64:
    x = u64(0)
    for i in range(4):
        for j in range(4):
            if j == i:
                break
            if i + j == 4:
                continue
            x += note(t, j + 1)
    return x


@case
def while_true(t: Trace, a: u64, b: u64) -> u64:
    while True:
        a += 1
        if a > 4:
            break
        if a == 3:
            continue
        note(t, a)
    return a


@case
def while_with_logic(t: Trace, a: u64, b: u64) -> u64:
    while note(t, a) < 4 and note(t, b) > 0:
        a += 1
        b -= 1
    return a * 10 + b


@case
def made_again(t: Trace, a: u64, b: u64) -> u64:
    x = u64(0)
    for i in range(4):
        p = Pair(left=i)
        x = x * 10 + p.left + p.right
        p.right = 5
    return x


@case
def made_from_itself(t: Trace, a: u64, b: u64) -> u64:
    p = Pair(left=a)
    for _ in range(3):
        p = Pair(left=p.left + 1, right=p.left)
    return p.left * 10 + p.right


@case
def made_from_a_part_of_itself(t: Trace, a: u64, b: u64) -> u64:
    o = Outer(pair=Pair(left=a))
    for _ in range(3):
        o.pair.left += 1
        o = Outer(pair=o.pair)
    return o.pair.left


@case
def another_name(t: Trace, a: u64, b: u64) -> u64:
    p = Pair()
    q = p
    q.left = a
    return p.left


@case
def part_of_a_struct(t: Trace, a: u64, b: u64) -> u64:
    o = Outer()
    p = o.pair
    p.left = a
    o.pairs[2] = p
    p.left = b
    return o.pair.left * 10 + o.pairs[2].left


@case
def copies(t: Trace, a: u64, b: u64) -> u64:
    o = Outer()
    p = Pair(left=a)
    o.pair = p
    p.left = 5
    o.pairs[1].items = p.items
    p.items[1] = 3
    return o.pair.left + o.pairs[1].items[1]


@case
def chosen_reference(t: Trace, a: u64, b: u64) -> u64:
    p = Pair(left=1)
    q = Pair(left=2)
    r = p if a > 1 else q
    r.left = 7
    return p.left * 10 + q.left


@case
def passed_on(t: Trace, a: u64, b: u64) -> u64:
    p = Pair(left=3)
    return left_or(some(p, a), b) * 10 + left_or(None, 4)


@case
def found_in_a_loop(t: Trace, a: u64, b: u64) -> u64:
    o = Outer()
    for i in range(4):
        o.pairs[i].left = (i * 7 + a) & 3
    best = None
    for i in range(4):
        if best is None or o.pairs[i].left < best.left:
            best = o.pairs[i]
    return left_or(best, 9)


@case
def searched_for(t: Trace, a: u64, b: u64) -> u64:
    o = Outer()
    o.pairs[2].left = a
    found = None
    for i in range(4):
        if o.pairs[i].left == 3:
            found = o.pairs[i]
            break
    return 8 if found is None else found.left


@case
def none_in_between(t: Trace, a: u64, b: u64) -> u64:
    p = Pair(left=a)
    q = some(p, a)
    if not q:
        q = some(p, b)
    if q is not None and q.left > 1:
        return q.left
    return 9


@case
def early_returns(t: Trace, a: u64, b: u64) -> u64:
    if note(t, a) == 1:
        return note(t, 4)
    elif note(t, b) == 1:  # noqa: RET505  # the rest is never reached
        return note(t, 5)
    else:
        note(t, 6)
    return note(t, 7)


@case
def returned_from_loops(t: Trace, a: u64, b: u64) -> u64:
    for i in range(4):
        while a < 9:
            a += 1
            if a == b + i:
                return i * 10 + a
    return note(t, 9)


@case
def booleans(t: Trace, a: u64, b: u64) -> u64:
    x = a > 1
    y = not x
    z = x if b > 1 else y
    return u64(x) * 100 + u64(y) * 10 + u64(z == x)


@case
def truth_of_numbers(t: Trace, a: u64, b: u64) -> u64:
    return u64(bool(a - 1)) * 10 + (1 if a - 1 else 2) + u64(not (b - 1))


@case
def unpacked_and_dropped(t: Trace, a: u64, b: u64) -> u64:
    _, x = both(t, a)
    return x
