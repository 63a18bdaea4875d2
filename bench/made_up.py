"""Short questions with known answers, made up in six grades from easy to hard."""

# A sign and the digits of both numbers; people among whom one is looked up.
SUMS = (("+", 1, 1), ("*", 1, 1), ("+", 2, 2), ("+", 3, 3), ("*", 1, 2), ("*", 2, 2))
PEOPLE = (1, 2, 3, 4, 6, 8)

NAMES = "Ada Bruno Clara Dmitri Elena Farid Greta Hugo Ines Jonas Kira Leo Mina Nils Olga Pavel Rosa Sven".split()
CITIES = "Lisbon Oslo Vienna Cork Turin Ghent Porto Riga Basel Lyon Malmo Bergen Zagreb Seville Dresden".split()
JOBS = "baker nurse teacher welder pilot lawyer gardener chemist tailor barber plumber painter".split()
SENTENCES = ("{name} is a {job} of {age} years who lives in {city}.", "In {city} there is {name}, {age}, who works as a {job}.",
             "{name} ({age}) moved to {city} as a {job}.")
LOOKUPS = (("In which city does {name} live?", "city"), ("What is the job of {name}?", "job"), ("How old is {name}?", "age"),
           ("Who lives in {city}?", "name"), ("Who works as a {job}?", "name"))


def _sum(grade, rng):
    sign, *digits = SUMS[grade]
    a, b = (rng.randrange(10 ** (count - 1), 10**count) for count in digits)
    return {"kind": "sums", "prompt": f"What is {a} {sign} {b}? Answer with the number alone.",
            "answer": str(a + b if sign == "+" else a * b)}


def _lookup(grade, rng):
    """What a short text says of one of several people."""
    columns = (rng.sample(values, PEOPLE[grade]) for values in (NAMES, CITIES, JOBS, range(19, 80)))
    people = [dict(zip(("name", "city", "job", "age"), values)) for values in zip(*columns)]
    text = " ".join(rng.choice(SENTENCES).format(**one) for one in people)
    wish, field = rng.choice(LOOKUPS)
    one = rng.choice(people)
    return {"kind": "lookups", "prompt": f"{text}\n\n{wish.format(**one)} Answer with one word or number alone.",
            "answer": str(one[field])}


def sums(count, rng):
    return [_sum(i % len(SUMS), rng) for i in range(count)]


def lookups(count, rng):
    return [_lookup(i % len(PEOPLE), rng) for i in range(count)]
