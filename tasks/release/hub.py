"""A model or a dataset onto the Hugging Face hub, in one commit, with its card."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tasks.errors import Permanent
from tasks.release.card import HUB_NAME
from tasks.release.export import CARD, check_kind, model_content
from tasks.report.models import MODEL
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.store import Store

if TYPE_CHECKING:
    from huggingface_hub import HfApi

WRITTEN_BY_HUB = {".gitattributes"}
"""Files that a new repository has by itself."""


def push(
    store: Store,
    kind: Literal["model", "dataset"],
    name: str,
    repository: str,
    *,
    public: bool = False,
    replace: bool = False,
    licence: str = "",
) -> str:
    """Upload an artifact to `org/name`, which is made where it is not there; returns the address of the commit.

    All files come in one commit, so that nobody meets half of them. The token is the hub's own: `HF_TOKEN`, or that of
    `hf auth login`.

    Args:
        public: make a new repository one that everybody can read; one that is there stays as it is.
        replace: commit over the files of a repository that has some; its history keeps them.
        licence: of a model, as `export_model` takes it.

    Raises:
        Permanent: the artifact is of another kind, the name is none, the repository has files, or the hub refuses.
    """
    import httpx
    from huggingface_hub import CommitOperationAdd, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    if not HUB_NAME.fullmatch(repository):
        raise Permanent(f"{repository!r} is no repository of a hub; write org/name")
    manifest = check_kind(store, name, kind)
    api = HfApi()
    try:
        there = _files(api, kind, repository)
        if there and not replace:
            raise Permanent(
                f"{kind} {repository} has {len(there)} files ({there[0]} first); give another name, or --replace to "
                "commit over them"
            )
        content = _content(store, manifest, licence)
        api.create_repo(repository, repo_type=kind, private=not public, exist_ok=True)
        return api.create_commit(
            repository,
            [CommitOperationAdd(path, source) for path, source in content.items()],
            commit_message=f"{manifest.ref}, content {manifest.digest}",
            repo_type=kind,
        ).commit_url
    except (HfHubHTTPError, httpx.HTTPError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        advice = "Check the name, and that HF_TOKEN may write there"
        if not isinstance(error, HfHubHTTPError):
            advice = f"Check that this machine reaches {api.endpoint}, or set HF_ENDPOINT to a hub that it does"
        elif get_token() is None:
            advice = "No token was found: set HF_TOKEN, or run `hf auth login`"
        raise Permanent(f"the hub did not take {name} as {repository}: {said}. {advice}") from error


def _content(store: Store, manifest: Manifest, licence: str) -> dict[str, Path | bytes]:
    """What is uploaded, by its path there. A dataset has its card among its files."""
    if manifest.kind == MODEL:
        files, card = model_content(store, manifest, licence)
        return {**files, CARD: card.encode()}
    place = store.local(manifest.ref)
    return {entry.path: place / entry.path for entry in manifest.files}


def _files(api: "HfApi", kind: Literal["model", "dataset"], repository: str) -> list[str]:
    """Names of the files that a repository has; none where it is not there."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        found = api.repo_info(repository, repo_type=kind).siblings or ()
    except RepositoryNotFoundError:
        return []
    return sorted({item.rfilename for item in found} - WRITTEN_BY_HUB)
