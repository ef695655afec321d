"""Does with Azure's own SDK for Python what it is told on stdin, and tells on stdout what came of it."""

import json
import logging
import os
import sys

from azure.identity import CertificateCredential, ManagedIdentityCredential, WorkloadIdentityCredential
from azure.keyvault.secrets import SecretClient

# Errors are told on stdout, once.
logging.disable(logging.CRITICAL)

RETRIES = {"retry_total": 2, "retry_backoff_factor": 0.01}


def credential(task):
    kind, client = task["credential"], task["client"]
    if kind in ("certificate", "chain"):
        chain = kind == "chain"
        return CertificateCredential(
            task["tenant"], client, certificate_path=task["file"], send_certificate_chain=chain, **RETRIES
        )
    if kind == "workload":
        return WorkloadIdentityCredential(
            tenant_id=task["tenant"], client_id=client, token_file_path=task["file"], **RETRIES
        )
    return ManagedIdentityCredential(client_id=client, **RETRIES)


def perform(task):
    secrets = SecretClient(task["vault"], credential(task), **RETRIES)
    if task.get("secret"):
        return {"value": secrets.get_secret(task["secret"]).value}
    return {"listed": sum(1 for _ in secrets.list_properties_of_secrets())}


def run(task):
    os.environ.update(task.get("environment", {}))
    try:
        return perform(task)
    except Exception as error:  # whatever it is, the test reads it
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        for name in task.get("environment", {}):
            del os.environ[name]


json.dump([run(task) for task in json.load(sys.stdin)], sys.stdout)
