"""Diversity of what models were trained on, and of what they write."""

from tasks.report.numbers.inputs import ReportInputs
from tasks.report.summary import CompositionRow, DiversityRow


def training_sets(inputs: ReportInputs) -> list[DiversityRow]:
    """A row for each training set behind the measured models that says how different its solutions are."""
    rows = []
    for manifest in inputs.provenance.manifests:
        measured = manifest.summary.get("diversity")
        if manifest.kind != "dataset" or not measured:
            continue
        entries = [entry for entry in inputs.provenance.entries_of[manifest.ref] if entry.arm]
        used_by = ", ".join(dict.fromkeys(entry.label for entry in entries))
        rows.append(DiversityRow(used_by=used_by, seed=min((entry.seed for entry in entries), default=0), **measured))
    return sorted(rows, key=lambda row: (row.used_by, row.seed))


def compositions(inputs: ReportInputs) -> list[CompositionRow]:
    """Mean over seeds of the share of samples that use more than one style, of labels whose answers show theirs."""
    rows = []
    for label, seeds in inputs.evaluations.items():
        by_seed = [evaluated.manifest.summary.get("composition", {}) for evaluated in seeds]
        shared = [name for name in by_seed[0] if all(name in shares for shares in by_seed)]
        if shared:
            shares = {name: sum(one[name] for one in by_seed) / len(by_seed) for name in shared}
            rows.append(CompositionRow(label=label, shares=shares))
    return rows
