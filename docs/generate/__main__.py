"""``python -m docs.generate``: writes docs/asyncapi.yaml and docs/reference; what is up to date is left alone."""

from __future__ import annotations

from docs.generate.pages import ROOT, pages


def main() -> None:
    for place, text in pages().items():
        path = ROOT / place
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"written: {place}")


if __name__ == "__main__":
    main()
