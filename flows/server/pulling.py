"""Where the code of a deployed run comes from: the workers' own checkout, or the stated commit of a repository."""

import os
from typing import Any

from tasks.spine.store.manifest import git_commit
from tasks.text import has_password, without_passwords

REPOSITORY = "MIDTRAIN_GIT_URL"
"""Environment variable with the address of the repository; empty: workers run what is installed on them."""
COMMIT = "MIDTRAIN_GIT_COMMIT"
"""Environment variable with the commit to pull; empty: that of the checkout which deploys."""
SECRET = "MIDTRAIN_GIT_SECRET"
"""Environment variable with the name of a Prefect secret block that holds an access token; empty: none is needed."""
CHANGED = "+changes"


def pull_steps() -> list[dict[str, Any]]:
    """Prefect's step that clones the stated commit before each run; none where no repository is configured.

    Raises:
        ValueError: the address has a password in it, or no commit is stated and the checkout is none or has changes.
    """
    repository = os.environ.get(REPOSITORY, "")
    if not repository:
        return []
    if has_password(repository):
        raise ValueError(
            f"{REPOSITORY}={without_passwords(repository)} has a password in it, which deployments would show; put it "
            f"into a secret block of Prefect, and the block's name into {SECRET}"
        )
    commit = os.environ.get(COMMIT) or git_commit() or ""
    if not commit or commit.endswith(CHANGED):
        raise ValueError(
            f"{REPOSITORY} is set, and this checkout is at {commit or 'no commit'}: runs could not pull it; commit and "
            f"push, or state a commit in {COMMIT}"
        )
    step = {"repository": repository, "commit_sha": commit}
    if secret := os.environ.get(SECRET, ""):
        step["access_token"] = f"{{{{ prefect.blocks.secret.{secret} }}}}"
    return [{"prefect.deployments.steps.git_clone": step}]
