"""Uses a client that `openapi-python-client` has made of docs/openapi-3.0.json: makes, reads, changes and deletes a credential."""

import json
import sys

from towpath_client import AuthenticatedClient
from towpath_client.api.credentials import create_credential, delete_credential, get_credential, list_credentials, update_credential
from towpath_client.models import Credential, CredentialChange, Error, NewCredential

env = json.loads(sys.stdin.read())
organization = env["TOWPATH_ORGANIZATION_ID"]
client = AuthenticatedClient(base_url=env["TOWPATH_API_URL"], token=env["TOWPATH_API_KEY"])

given = NewCredential.from_dict({"UserName": "made-by-a-client", "Permission": "read-write"})
made = create_credential.sync(organization, client=client, body=given)
assert isinstance(made, Credential), made
assert (made.user_name, made.permission, made.is_default) == ("made-by-a-client", "read-write", False), made
assert made.password and made.expiration is None and made.settings.network.inbound_rules == []

read = get_credential.sync(organization, made.id, client=client)
assert read == made, (read, made)
assert made.id in [one.id for one in list_credentials.sync(organization, client=client)]

change = CredentialChange.from_dict({"Alias": "of a client", "QuotaSize": 1_000_000})
answer = update_credential.sync_detailed(organization, made.id, client=client, body=change)
assert (answer.status_code, answer.parsed.alias, answer.parsed.quota_size) == (200, "of a client", 1_000_000), answer
assert answer.headers["ETag"] and int(answer.headers["X-RateLimit-Remaining"]) > 0

deleted = delete_credential.sync(organization, made.id, client=client)
assert deleted.id == made.id
gone = get_credential.sync_detailed(organization, made.id, client=client)
assert gone.status_code == 404 and isinstance(gone.parsed, Error) and gone.parsed.error.code == "NOT_FOUND", gone
print("a generated client made, read, changed and deleted a credential")
