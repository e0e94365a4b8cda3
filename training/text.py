"""Clean the novels and cut them into sentences.

    python training/text.py --text FOLDER --train train_sentences.txt --heldout heldout_sentences.txt

The files come in three layouts: one paragraph per line, hard line breaks with blank lines between paragraphs, and hard
line breaks without blank lines. All end up as a list of paragraphs, each a list of sentences.
"""

import argparse
import re
from pathlib import Path

HELD_OUT = ("Forster_Howards_1910.txt", "Hardy_Madding_1874.txt")

# One spelling for every quote, dash and space, so that a small vocabulary is not spent on typography.
CHARACTERS = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "`": "'", "—": " - ", "–": " - ", "…": "...", "ſ": "s"}
    | {"\xa0": " ", "\t": " ", "_": "", "*": "", "\ufeff": "", "\xad": ""}
)
NOTE = re.compile(r"\[(?:Illustration|Footnote|Transcriber)[^\]]*\]")
HEADING = re.compile(r"(?:chapter|book|part|volume|vol\.|section|phase|contents|the end|finis)\b", re.IGNORECASE)
FOREIGN = re.compile(r"[^ -~À-ÿŒœ£]")  # Greek, and bytes that were decoded wrongly before they reached us
SPLIT_WORD = re.compile(r"\b([A-Za-z]+)- ([a-z]+)\b")
WORD = re.compile(r"[a-z]+")
SENTENCE_END = re.compile(r"""(?<=[.!?])(["')]{0,2}) +(?=["'(]{0,2}[A-Z])""")
ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Messrs|Dr|St|Esq|Rev|Hon|Capt|Col|Gen|Lieut|Sergt|No|Vol|Prof|Mme|Mlle)|\b[A-Z])\.$"
)


def lines_to_paragraphs(raw: str) -> list[str]:
    """Undo hard line breaks, whichever of the three layouts the file has."""
    lines = [line.strip() for line in raw.translate(CHARACTERS).splitlines()]
    lengths = sorted(len(line) for line in lines if line)
    if lengths[int(0.95 * len(lengths))] > 110:  # one paragraph per line
        return [line for line in lines if line]
    blank_lines_separate = len(lengths) < 0.97 * len(lines)
    width = lengths[int(0.95 * len(lengths))]
    paragraphs, current = [], []
    for line in lines:
        ends_short = bool(current) and len(current[-1]) < 0.8 * width and current[-1][-1] in ".!?\"':"
        speech_starts = bool(current) and current[-1][-1] in ".!?\"'" and line[:1] == '"' and len(line) > 1
        if current and (not line or (not blank_lines_separate and (ends_short or speech_starts))):
            paragraphs.append(" ".join(current))
            current = []
        if line:
            current.append(line)
    return paragraphs + ([" ".join(current)] if current else [])


def join_split_words(paragraph: str, known: set[str]) -> str:
    """'law- yer' is a word broken at a line end; 'dining- room' a compound; 'two- or threefold' stays as it is."""

    def repair(match: re.Match[str]) -> str:
        left, right = match.groups()
        if right in {"and", "or", "to", "but", "nor"}:
            return match.group()
        return left + right if (left + right).lower() in known else f"{left}-{right}"

    return SPLIT_WORD.sub(repair, paragraph)


def clean_paragraph(paragraph: str, known: set[str]) -> str:
    """The paragraph in plain typography, or '' where it is a heading, a page number or not English letters."""
    text = NOTE.sub(" ", paragraph)
    text = re.sub(r"-{2,}", " - ", text)
    text = re.sub(r"\.(?: \.){2,}", "...", text)
    text = join_split_words(re.sub(r" +", " ", text).strip(), known)
    text = re.sub(r" +([,;:.?!])", r"\1", text)
    is_heading = len(text) < 80 and (HEADING.match(text) or text[-1:] not in tuple(".!?\"',;:-)"))
    if is_heading or not re.search("[a-z]{2}", text) or FOREIGN.search(text):
        return ""
    return text


def split_sentences(paragraph: str) -> list[str]:
    """Cut after . ! ? (and closing quotes) before a capital, but not after 'Mr.' or an initial."""
    sentences, begin = [], 0
    for match in SENTENCE_END.finditer(paragraph):
        end = match.end(1)
        if not match.group(1) and ABBREVIATION.search(paragraph[max(0, end - 12) : end]):
            continue
        sentences.append(paragraph[begin:end])
        begin = match.end()
    return [*sentences, paragraph[begin:]]


def read_novels(folder: Path) -> dict[str, list[list[str]]]:
    """File name -> paragraphs -> sentences, for every novel in the folder."""
    raw = {path.name: path.read_text("utf-8-sig") for path in sorted(folder.glob("*.txt"))}
    known = set(WORD.findall(" ".join(raw.values()).lower()))
    novels = {}
    for name, text in raw.items():
        cleaned = (clean_paragraph(paragraph, known) for paragraph in lines_to_paragraphs(text))
        novels[name] = [split_sentences(paragraph) for paragraph in cleaned if paragraph]
    return novels


def split_novels(folder: Path) -> tuple[list[list[list[str]]], list[list[list[str]]]]:
    """The training novels and the two held-out ones."""
    novels = read_novels(folder)
    return [novels[n] for n in novels if n not in HELD_OUT], [novels[n] for n in HELD_OUT]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the cleaned sentences, one per line.")
    parser.add_argument("--text", type=Path, required=True, help="folder of novels, one .txt each")
    parser.add_argument("--train", type=Path, help="where the training sentences go")
    parser.add_argument("--heldout", type=Path, help="where the held-out sentences go")
    args = parser.parse_args()
    for path, novels in zip((args.train, args.heldout), split_novels(args.text), strict=True):
        if path:
            sentences = [sentence for novel in novels for paragraph in novel for sentence in paragraph]
            path.write_text("\n".join(sentences) + "\n", "utf-8")
            print(f"{path}: {len(sentences)} sentences")


if __name__ == "__main__":
    main()
