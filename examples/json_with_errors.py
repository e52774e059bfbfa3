"""Ask an API for JSON, and say what went wrong if there is none."""

import json
import sys

import anyio

from anyhttp import ClientError, ClientResponseError, ClientSession


async def name_of(session: ClientSession, number: int) -> str:
    """Return the name of a user, or why it is not known."""
    try:
        async with session.get(f"users/{number}", raise_for_status=True) as response:
            user = await response.json()
            return str(user["name"])
    except ClientResponseError as error:  # an error status, or a body that is something else
        return f"{error.status} {error.message}: {error.body!r}"
    except json.JSONDecodeError as error:
        return f"broken JSON: {error}"
    except (ClientError, TimeoutError) as error:  # no answer, or only a part of one
        return f"{type(error).__name__}: {error}"


async def main(base_url: str) -> None:
    """Print the names of two users."""
    async with ClientSession(base_url) as session:
        for number in (1, 2):
            print(await name_of(session, number))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
