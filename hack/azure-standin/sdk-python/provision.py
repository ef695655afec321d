"""Provisions with Azure's own SDKs what a cluster needs that signs its own tokens: twice, and then deletes it."""

import json
import logging
import sys

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.storage.blob import BlobServiceClient

# Errors are told on stdout, once.
logging.disable(logging.CRITICAL)

task = json.load(sys.stdin)
GROUP, ACCOUNT, CONTAINER = "sdk", "oidc", "cluster"
SCOPE = f"/subscriptions/{task['subscription']}"
ROLE, ASSIGNMENT, WRITER = (letter * 8 + ("-" + letter * 4) * 3 + "-" + letter * 12 for letter in "123")
CONTRIBUTOR = f"{SCOPE}/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"

credential = ClientSecretCredential(task["tenant"], task["client"], task["secret"])
resources = ResourceManagementClient(credential, task["subscription"])
storage = StorageManagementClient(credential, task["subscription"])
identities = ManagedServiceIdentityClient(credential, task["subscription"])
roles = AuthorizationManagementClient(credential, task["subscription"])


def the_account():
    account = {
        "location": "eastus",
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
        "properties": {"allowBlobPublicAccess": True},
    }
    made = storage.storage_accounts.begin_create(GROUP, ACCOUNT, account).result()
    storage.blob_containers.create(GROUP, ACCOUNT, CONTAINER, {"properties": {"publicAccess": "Container"}})
    return made


def a_custom_role(name):
    role = {
        "role_name": name,
        "role_type": "CustomRole",
        "permissions": [{"actions": ["Microsoft.Network/virtualNetworks/read"]}],
        "assignable_scopes": [SCOPE],
    }
    roles.role_definitions.create_or_update(SCOPE, ROLE, role)
    return next(iter(roles.role_definitions.list(SCOPE, filter=f"roleName eq '{name}'")))


def provision():
    resources.resource_groups.create_or_update(GROUP, {"location": "eastus", "tags": {"owner": "sdk"}})
    account = the_account()
    grant = {"principal_id": task["object"], "role_definition_id": CONTRIBUTOR}
    roles.role_assignments.create(SCOPE, WRITER, grant)
    blobs = BlobServiceClient(account.primary_endpoints.blob, credential)
    blobs.get_blob_client(CONTAINER, "openid/v1/jwks").upload_blob(b"keys", overwrite=True)
    identity = identities.user_assigned_identities.create_or_update(GROUP, "operator", {"location": "eastus"})
    federated = {"issuer": "https://i.test", "subject": "s", "audiences": ["openshift"]}
    identities.federated_identity_credentials.create_or_update(
        GROUP, "operator", "registry", {"properties": federated}
    )
    role = a_custom_role("sdk-operator")
    grant = {"principal_id": identity.principal_id, "role_definition_id": role.id}
    roles.role_assignments.create(SCOPE, ASSIGNMENT, grant)
    assigned = roles.role_assignments.list_for_subscription(filter=f"assignedTo('{identity.principal_id}')")
    return {
        "client": identity.client_id,
        "blob": account.primary_endpoints.blob,
        "assignments": [one.name for one in assigned],
        "credentials": [one.name for one in identities.federated_identity_credentials.list(GROUP, "operator")],
        "keys": len(storage.storage_accounts.list_keys(GROUP, ACCOUNT).keys_property or []),
    }


def refusal(call):
    try:
        call()
    except HttpResponseError as error:
        return f"{error.status_code} {error.error.code if error.error else error.error_code}"
    return "none"


def delete():
    roles.role_assignments.delete(SCOPE, ASSIGNMENT)
    roles.role_definitions.delete(SCOPE, ROLE)
    resources.resource_groups.begin_delete(GROUP).result()
    return refusal(lambda: resources.resource_groups.get(GROUP))


first = provision()
json.dump(
    {
        "first": first,
        "second": provision(),
        "missing": refusal(lambda: identities.user_assigned_identities.get(GROUP, "other")),
        "twin": refusal(
            lambda: identities.federated_identity_credentials.create_or_update(
                GROUP,
                "operator",
                "twin",
                {"properties": {"issuer": "https://i.test", "subject": "s", "audiences": ["openshift"]}},
            )
        ),
        "deleted": delete(),
    },
    sys.stdout,
)
