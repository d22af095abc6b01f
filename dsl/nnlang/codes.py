"""Every code a diagnostic may carry, with its one-line title.

One table for all stages; a stage that needs a code adds a row. Codes keep their meaning for ever.
N01 syntax · N02 names · N03 shapes and types · N04 settings and calls · N05 training sections ·
N06 files and `use` · N07 data and artifacts.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # Syntax
    "N0101": "something else was expected here",
    "N0102": "a character the language does not know",
    "N0103": "a string that does not end",
    "N0104": "a number that cannot be read",
    "N0105": "a bracket that is never closed",
    "N0106": "a closing bracket that fits no opening one",
    "N0107": "nested too deeply",
    "N0108": "a body in braces is missing",
    "N0109": "a comma is missing",
    "N0110": "`=` where `==` is meant",
    "N0111": "a reserved word used as a name",
    "N0112": "the way another language writes it",
    "N0113": "an element type that does not exist",
    "N0114": "a statement where it has no meaning",
    "N0115": "a value that nothing uses",
    "N0116": "an `if` that gives no value where one is needed",
    "N0117": "an argument by position after one by name",
    "N0118": "an edition that does not exist",
    "N0119": "an escape that strings do not have",
    "N0120": "comparisons in a chain",
    "N0121": "a line that ends too early",
    # Names
    "N0201": "a name that is not known",
    "N0202": "a name defined twice",
    "N0203": "a name that cannot be given another value",
    "N0204": "a setting that is never used",
    "N0205": "a member that a namespace does not have",
    "N0206": "a label that is taken",
    "N0207": "a block used inside itself",
    "N0208": "a name that has no value yet",
    "N0209": "an input that nothing uses",
    "N0210": "a parameter or state that nothing uses",
    # Shapes and types
    "N0301": "tensors that do not fit an operation",
    "N0302": "element types that do not mix",
    "N0303": "a tensor that does not match a signature",
    "N0304": "a number that must be known when compiling",
    "N0305": "an index or axis outside its tensor or list",
    "N0306": "a value of the wrong kind",
    "N0307": "a condition that is not known when compiling",
    "N0308": "a number of names and values that differ",
    "N0309": "a value that does not have the declared shape",
    "N0312": "sides of an operator with different shapes",
    "N0313": "arithmetic without a result",
    "N0314": "an element type that cannot be used here",
    "N0315": "a tensor of more than 8 dimensions",
    # Settings and calls
    "N0401": "too many arguments",
    "N0402": "an argument that does not exist",
    "N0403": "an argument that is missing",
    "N0404": "an argument of the wrong kind",
    "N0405": "an argument given twice",
    "N0406": "an assertion that does not hold",
    "N0407": "a setting that the net does not have",
    "N0408": "a call of something that cannot be called",
    "N0409": "a block that returns nothing",
    "N0410": "a state that changes outside of training",
    "N0411": "a `scan` this version cannot compile",
    "N0412": "a net without an output",
    "N0413": "a program too large to evaluate or unroll",
    "N0415": "a random function where it cannot be used",
    # Training sections
    "N0501": "a key that training sections do not have",
    "N0502": "a key set twice",
    "N0503": "a training section without a loss",
    "N0504": "a loss or metric that is not one number",
    "N0505": "a training section with nothing to learn",
    "N0506": "a key with a value of the wrong kind",
    "N0507": "a pattern that matches no parameter",
    "N0508": "weights that do not fit the net",
    "N0509": "a training section of an unknown net",
    "N0510": "a loss without a gradient",
    "N0511": "a training section that is missing",
    "N0512": "a net or training section to be chosen",
    "N0513": "an input without the dimension that training goes over",
    # Files and `use`
    "N0601": "a file that cannot be read",
    "N0602": "files that use each other",
    "N0603": "a part that the standard library does not have",
    "N0604": "a file without a net",
    # Data and artifacts
    "N0700": "a mistake in what was given",
    "N0701": "an array that is missing, unknown or given twice",
    "N0702": "elements of another type than the input's",
    "N0703": "an array of another shape than the input's",
    "N0704": "a value that is infinite or no number",
    "N0705": "data without rows",
    "N0706": "an index out of range",
    "N0710": "a compiled model that is damaged",
    "N0711": "a compiled model that cannot be read",
    "N0712": "a compiled model of a newer format",
    "N0713": "an output that cannot be written there",
    "N0714": "weights that are not finite, and so are not saved",
    "N0720": "what the engine refuses",
    "N0721": "a program that the compiled model does not have",
    "N0722": "training while training",
    "N0730": "a loss, a parameter or a state that is no finite number",
    "N0731": "a training option out of range",
    "N0740": "data that does not exist",
    "N0741": "data that is damaged or cannot be read",
    "N0742": "data without what an input needs",
    "N0743": "a table without a header that names its columns",
    "N0744": "lines that are no table",
    "N0745": "a value that does not fit its input",
    "N0746": "a kind of data that is not read here",
    "N0747": "a part that cannot be held out",
    "N0748": "arrays with different numbers of rows",
}

STAGES = {
    "N01": "Syntax",
    "N02": "Names",
    "N03": "Shapes and types",
    "N04": "Settings and calls",
    "N05": "Training sections",
    "N06": "Files and `use`",
    "N07": "Data and artifacts",
}
_START = "<!-- codes: written by `python -m nnlang.codes dsl/REFERENCE.md` -->\n"
_END = "<!-- end of codes -->\n"


def with_codes(page: str) -> str:
    """A page with the table of codes between its two marks brought up to date."""
    before, _, rest = page.partition(_START)
    _, _, after = rest.partition(_END)
    rows = ["| code | |", "| --- | --- |"]
    for code, title in CODES.items():
        stage = STAGES[code[:3]]
        if f"| **{stage}** | |" not in rows:
            rows.append(f"| **{stage}** | |")
        rows.append(f"| {code} | {title} |")
    return f"{before}{_START}\n" + "\n".join(rows) + f"\n\n{_END}{after}"


if __name__ == "__main__":
    import sys
    from pathlib import Path

    path = Path(sys.argv[1])
    path.write_text(with_codes(path.read_text(encoding="utf-8")), encoding="utf-8")
