"""Create the named S3 buckets where they are missing: `buckets.py NAME...`.

Address and credentials come from the AWS variables, so it serves any S3-compatible store. Running it again changes
nothing.
"""

import sys

import boto3
from botocore.exceptions import ClientError

OURS = "BucketAlreadyOwnedByYou"


def create(name: str) -> str:
    """Create one bucket and say whether it was there.

    Raises:
        ClientError: the name belongs to somebody else, or the credentials are wrong.
    """
    try:
        boto3.client("s3").head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
    else:
        return "there already"
    try:
        boto3.client("s3").create_bucket(Bucket=name)
    except ClientError as error:
        # Somebody created it between the two calls.
        if error.response["Error"]["Code"] != OURS:
            raise
        return "there already"
    return "created"


if __name__ == "__main__":
    for bucket in sys.argv[1:]:
        print(f"{bucket}: {create(bucket)}")
