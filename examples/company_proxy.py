"""Go out through a company's proxy, which the environment names, and trust its authority."""

import ssl
import sys

import anyio

from anyhttp import ClientHttpProxyError, ClientSession, ClientSSLError, TCPConnector


async def main(url: str, authority: str) -> None:
    """Print what is at *url*; *authority* is a file with the company's certificate (PEM)."""
    trusted = ssl.create_default_context()  # with what the system trusts
    trusted.load_verify_locations(authority)
    connector = TCPConnector(ssl=trusted)
    async with ClientSession(connector=connector, trust_env=True) as session:
        try:
            async with session.get(url) as response:
                print(response.status, await response.text())
        except ClientHttpProxyError as error:
            print("the proxy refused:", error.status, error.body)
        except ClientSSLError as error:
            print("not trusted:", error)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
