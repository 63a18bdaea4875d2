"""Documents whose tables the benchmarks write."""


def write_between(path, name, text):
    """Replaces what stands between the marks of `name` in the document at `path`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    with open(path) as file:
        before, rest = file.read().split(begin)
    with open(path, "w") as file:
        file.write(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")
