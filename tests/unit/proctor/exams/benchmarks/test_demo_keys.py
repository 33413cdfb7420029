"""Keys of the demo exam, worked out anew: all of arithmetic and time_and_units, and what can be computed of computing.

Each expression says by itself what the question asks; none looks at the options.
"""

from __future__ import annotations

import math
from calendar import isleap, monthrange
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import permutations, product
from statistics import mean, median

import pytest

from proctor.exams.benchmarks.registry import load_benchmark
from proctor.nouns.exams import Question

DEMO = load_benchmark("demo").exams
WEEK = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MORNING = datetime(2024, 5, 1)  # noqa: DTZ001 -- times of day, in no zone


def questions(subject: str) -> dict[str, Question]:
    return {question.text: question for question in (*DEMO[subject].dev, *DEMO[subject].questions)}


def number(value: float) -> str:
    """As the options write numbers: commas between thousands, a real minus."""
    return f"{value:,}".replace("-", "−")


def plain(value: float) -> str:
    return str(value).replace("-", "−")


def only(candidates: Iterable[str], found: Iterable[bool]) -> str:
    (match,) = (text for text, is_it in zip(candidates, found, strict=True) if is_it)
    return match


def is_prime(value: int) -> bool:
    return value > 1 and all(value % divisor for divisor in range(2, value))


def weekday_after(day: str, days: int) -> str:
    return WEEK[(WEEK.index(day) + days) % 7]


def clock(hour: int, minute: int, plus_minutes: int = 0) -> str:
    return f"{MORNING + timedelta(hours=hour, minutes=minute + plus_minutes):%H:%M}"


def span(minutes: float) -> str:
    whole, seconds = divmod(round(minutes * 60), 60)
    return f"{whole} minutes {seconds} seconds"


def hours(minutes: int) -> str:
    return f"{minutes // 60} hour{'s' if minutes >= 120 else ''} {minutes % 60} minutes"


DICE = [sum(pair) == 7 for pair in product(range(1, 7), repeat=2)]

ARITHMETIC: Mapping[str, str] = {
    "What is 14 + 27?": plain(14 + 27),
    "What is 9 × 7?": plain(9 * 7),
    "What is 100 − 38?": plain(100 - 38),
    "Which of these fractions equals one half?": only(
        ["4/8", "3/8", "2/6", "5/12"], [2 * part == whole for part, whole in [(4, 8), (3, 8), (2, 6), (5, 12)]]
    ),
    "What is 25% of 80?": plain(25 * 80 // 100),
    "What is 8 + 5?": plain(8 + 5),
    "What is 17 + 26?": plain(17 + 26),
    "What is 52 − 19?": plain(52 - 19),
    "What is 6 × 8?": plain(6 * 8),
    "What is 72 ÷ 9?": str(Fraction(72, 9)),
    "What is 17 × 23?": plain(17 * 23),
    "What is 305 + 198?": plain(305 + 198),
    "What is 1000 − 364?": plain(1000 - 364),
    "In how many orders can 5 different books stand on a shelf?": plain(len(list(permutations(range(5))))),
    "What is 15 × 14?": plain(15 * 14),
    "What is 144 ÷ 16?": str(Fraction(144, 16)),
    "What is the remainder when 50 is divided by 7?": plain(50 % 7),
    "What is 3 + 4 × 5?": plain(3 + 4 * 5),
    "What is (3 + 4) × 5?": plain((3 + 4) * 5),
    "What is 20 − 12 ÷ 4?": str(20 - Fraction(12, 4)),
    "What is the remainder when 2 to the power of 20 is divided by 7?": plain(2**20 % 7),
    "What is 2 to the power of 10?": plain(2**10),
    "What is the square root of 169?": plain(math.isqrt(169)),
    "What is the cube of 4?": plain(4**3),
    "Two fair dice are thrown. What is the probability that their sum is 7?": str(Fraction(sum(DICE), len(DICE))),
    "What is 15% of 200?": plain(15 * 200 // 100),
    "What is 3/4 of 48?": str(Fraction(3, 4) * 48),
    "What is 1/2 + 1/4?": str(Fraction(1, 2) + Fraction(1, 4)),
    "What is 2/3 × 3/5?": str(Fraction(2, 3) * Fraction(3, 5)),
    "What is 3/4 − 1/3?": str(Fraction(3, 4) - Fraction(1, 3)),
    "What is 0.25 + 0.5?": str(0.25 + 0.5),
    "What is 0.2 × 0.3?": str(float(Fraction(2, 10) * Fraction(3, 10))),
    "What is 1.5 ÷ 0.5?": str(Fraction(15, 10) / Fraction(5, 10)),
    "What is −7 + 12?": plain(-7 + 12),
    "What is −6 × −4?": plain(-6 * -4),
    "How many prime numbers are there between 1 and 30?": plain(sum(map(is_prime, range(1, 31)))),
    "Which of these numbers is prime?": only(["29", "21", "27", "33"], map(is_prime, [29, 21, 27, 33])),
    "Which of these numbers is divisible by 9?": only(
        ["738", "739", "649", "853"], [value % 9 == 0 for value in (738, 739, 649, 853)]
    ),
    "What is the greatest common divisor of 24 and 36?": plain(math.gcd(24, 36)),
    "What is the least common multiple of 6 and 8?": plain(math.lcm(6, 8)),
    "What is the sum of the whole numbers from 1 to 10?": plain(sum(range(1, 11))),
    "What is the mean of 4, 8, 9 and 11?": plain(mean([4, 8, 9, 11])),
    "What is the median of 3, 7, 8, 15 and 22?": plain(median([3, 7, 8, 15, 22])),
    "A price of 60 rises by 20% and then falls by 20%. What is it now?": f"{60 * 120 / 100 * 80 / 100:.2f}",
    "If x + 9 = 4x, what is x?": only("0123456789", [x + 9 == 4 * x for x in range(10)]),
}

TIME_AND_UNITS: Mapping[str, str] = {
    "How many minutes are there in 2 hours?": number(2 * 60),
    "How many centimetres are there in 3 metres?": number(3 * 100),
    "What day of the week comes two days after Friday?": weekday_after("Friday", 2),
    "How many days does the month of April have?": number(monthrange(2023, 4)[1]),
    "How many grams are there in half a kilogram?": number(1000 // 2),
    "How many seconds are there in 3 minutes?": number(3 * 60),
    "How many hours are there in 2 days?": number(2 * 24),
    "How many days are there in 3 weeks?": number(3 * 7),
    "How many months are there in 2 years?": number(2 * 12),
    "How many days does a leap year have?": number((date(2025, 1, 1) - date(2024, 1, 1)).days),
    "How many millimetres are there in 5 centimetres?": number(5 * 10),
    "How many metres are there in 2.5 kilometres?": number(2500),
    "How many millilitres are there in 3 litres?": number(3 * 1000),
    "How many grams are there in 1.2 kilograms?": number(12 * 1000 // 10),
    "How many kilograms are there in 4 tonnes (metric tons)?": number(4 * 1000),
    "How many things are there in three dozen?": number(3 * 12),
    "What time is 45 minutes after 10:30?": clock(10, 30, 45),
    "What time is 90 minutes before 14:00?": clock(14, 0, -90),
    "How long is it from 9:20 to 11:05 on the same morning?": hours(11 * 60 + 5 - (9 * 60 + 20)),
    "What is 6:15 in the evening on a 24-hour clock?": clock(12 + 6, 15),
    "What is 21:40 on a 12-hour clock?": f"{21 - 12}:40 in the evening",
    "A train leaves at 22:50 and arrives at 01:20 the next day. How long is the journey?": hours(
        (24 + 1) * 60 + 20 - (22 * 60 + 50)
    ),
    "If today is Wednesday, what day of the week is it in 10 days?": weekday_after("Wednesday", 10),
    "If today is Monday, what day of the week was it 100 days ago?": weekday_after("Monday", -100),
    "If 1 March is a Tuesday, what day of the week is 31 March of the same year?": weekday_after("Tuesday", 31 - 1),
    "How many days after 1 January is 1 March in a year that is not a leap year?": number(
        (date(2023, 3, 1) - date(2023, 1, 1)).days
    ),
    "Which of these years is a leap year in the Gregorian calendar?": only(
        ["2000", "1900", "2023", "2100"], map(isleap, [2000, 1900, 2023, 2100])
    ),
    "How many leap years are there among the years 2001 to 2020?": number(sum(map(isleap, range(2001, 2021)))),
    "How many minutes are there in one whole day?": number(24 * 60),
    "How many seconds are there in one hour?": number(60 * 60),
    "How many hours are there in one week?": number(7 * 24),
    "A car drives at a steady 60 kilometres an hour. How far does it go in 20 minutes?": f"{60 * 20 // 60} kilometres",
    "A cyclist covers 36 kilometres in 2 hours. What is the average speed in metres a second?": number(
        36_000 // (2 * 3600)
    ),
    "Water boils at 100 °C at sea level. What is that in degrees Fahrenheit?": number(100 * 9 // 5 + 32),
    "What is 50 °F in degrees Celsius?": number((50 - 32) * 5 // 9),
    "How many inches are there in 4 feet?": number(4 * 12),
    "How many ounces are there in 2 pounds (avoirdupois)?": number(2 * 16),
    "How many square centimetres are there in one square metre?": number(100**2),
    "How many litres does a cube with edges of 10 centimetres hold?": number(10**3 // 1000),
    "How many litres are there in one cubic metre?": number(100**3 // 1000),
    "A tap fills a 12-litre bucket in 3 minutes. How long does it take to fill a 50-litre tub?": span(50 / (12 / 3)),
    "When it is 12:00 noon in a place at UTC+2, what is the time in a place at UTC−5?": clock(12 - 2 - 5, 0),
    "A film of 135 minutes starts at 19:50. When does it end?": clock(19, 50, 135),
    "A recipe for 4 people needs 300 grams of flour. How much does it need for 6 people?": f"{300 // 4 * 6} grams",
    "How many degrees does the minute hand of a clock turn in 20 minutes?": number(360 * 20 // 60),
}

COMPUTING: Mapping[str, str] = {
    "What is the binary number 101 in decimal?": plain(int("101", 2)),
    "What is the binary number 1101 in decimal?": plain(int("1101", 2)),
    "What is the decimal number 10 in binary?": f"{10:b}",
    "What is the hexadecimal number FF in decimal?": plain(int("FF", 16)),
    "What is the hexadecimal number 2A in decimal?": plain(int("2A", 16)),
    "How many different values can 8 bits represent?": plain(len(list(product("01", repeat=8)))),
    "What is the largest number that 4 bits can hold as an unsigned integer?": plain(int("1111", 2)),
    "How many comparisons does a binary search of 1,000 sorted items need at most, "
    "if each tells less, equal or greater?": plain((1000).bit_length()),
    "What is the value of the Boolean expression True AND (NOT False)?": str(all([True, not False])),
    "What is the result of 17 // 5 in Python?": plain(17 // 5),
    "What is the result of 17 % 5 in Python?": plain(17 % 5),
    'What is the result of len("exam") in Python?': plain(len("exam")),
    "In which of these is 1 May 2024 written as ISO 8601 has it?": date(2024, 5, 1).isoformat(),
    "How many rows does the truth table of a Boolean function of 3 variables have?": plain(2**3),
    "In two's complement with 8 bits, what is the value of 11111111?": plain(
        int.from_bytes([0b11111111], "big", signed=True)
    ),
}


@pytest.mark.parametrize(
    ("subject", "worked_out"),
    [("arithmetic", ARITHMETIC), ("time_and_units", TIME_AND_UNITS), ("computing", COMPUTING)],
)
def test_keys_are_what_the_questions_work_out_to(subject: str, worked_out: Mapping[str, str]) -> None:
    asked = questions(subject)
    keyed = {text: asked[text].choices[asked[text].key] for text in worked_out}
    assert keyed == dict(worked_out)


@pytest.mark.parametrize(("subject", "worked_out"), [("arithmetic", ARITHMETIC), ("time_and_units", TIME_AND_UNITS)])
def test_no_question_that_can_be_computed_is_left_out(subject: str, worked_out: Mapping[str, str]) -> None:
    assert worked_out.keys() == questions(subject).keys()
