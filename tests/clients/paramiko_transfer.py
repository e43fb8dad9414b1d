"""Uploads `a` and downloads it as `back`, with paramiko's defaults: put() pipelines, get() asks for all of it at once."""

import os
import sys

import paramiko

port, user = int(sys.argv[1]), sys.argv[2]
transport = paramiko.Transport(("127.0.0.1", port))
transport.connect(username=user, password=os.environ["TOWPATH_PASSWORD"])
sftp = paramiko.SFTPClient.from_transport(transport)
sftp.put("a", "/a")
sftp.get("/a", "back")
sftp.close()
transport.close()
