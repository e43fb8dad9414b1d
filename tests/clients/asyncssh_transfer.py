"""Uploads `a` and downloads it as `back`, with asyncssh's defaults."""

import asyncio
import os
import sys

import asyncssh


async def main() -> None:
    port, user = int(sys.argv[1]), sys.argv[2]
    password = os.environ["TOWPATH_PASSWORD"]
    options = {"username": user, "password": password, "known_hosts": None, "client_keys": None, "config": None}
    async with asyncssh.connect("127.0.0.1", port, **options) as connection:
        async with connection.start_sftp_client() as sftp:
            await sftp.put("a", "/a")
            await sftp.get("/a", "back")


asyncio.run(main())
