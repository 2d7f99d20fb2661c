"""What a Python program does with Coffer through hvac, the client that it would use with Vault.

Server, certificates and root token come from VAULT_ADDR, VAULT_CACERT, VAULT_CLIENT_CERT, VAULT_CLIENT_KEY and
VAULT_TOKEN. Arguments: certificate and key of an application. Standard input: the shares, one a line.
Each step says what it did; the first one that fails ends the program with a traceback.
"""

import base64
import os
import sys
import warnings
from importlib.metadata import version

import hvac
from hvac import exceptions

warnings.simplefilter("ignore", DeprecationWarning)


def refused(kind, call, *arguments, **named):
    """Calls what must be refused in this way; gives the sentences."""
    try:
        call(*arguments, **named)
    except kind as error:
        return error.errors
    raise AssertionError(f"{call.__name__} was not refused")


def b64(data):
    return base64.b64encode(data).decode()


def equal(seen, wanted):
    # Neither is printed: one of them may be a secret.
    if seen != wanted:
        raise AssertionError("the values differ")


def system(client, shares):
    sys_ = client.sys
    assert sys_.is_initialized() and not sys_.is_sealed()
    assert sys_.read_health_status().status_code == 200
    assert sys_.read_health_status(method="GET")["sealed"] is False
    assert sys_.read_leader_status()["ha_enabled"] is False
    assert client.is_authenticated()

    sys_.enable_secrets_engine("kv", path="plain", options={"version": "1"}, description="values without versions")
    sys_.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    sys_.enable_secrets_engine("transit")
    mounts = sys_.list_mounted_secrets_engines()
    assert {"plain/", "secret/", "transit/"} <= set(mounts["data"]) and mounts["secret/"]["type"] == "kv"
    assert sys_.retrieve_mount_option("secret", "version") == "2"
    sys_.tune_mount_configuration("plain", default_lease_ttl="1h", max_lease_ttl="2h", description="tuned")
    tuned = sys_.read_mount_configuration("plain")["data"]
    assert (tuned["default_lease_ttl"], tuned["max_lease_ttl"], tuned["description"]) == (3600, 7200, "tuned")
    sys_.enable_secrets_engine("kv", path="gone")
    sys_.disable_secrets_engine("gone")
    assert "gone/" not in sys_.list_mounted_secrets_engines()["data"]
    refused(exceptions.InvalidRequest, sys_.enable_secrets_engine, "kv", path="secret")
    refused(exceptions.InvalidRequest, sys_.enable_secrets_engine, "no-such-engine")

    sys_.enable_auth_method("cert")
    sys_.enable_auth_method("cert", path="others", description="others")
    assert sys_.list_auth_methods()["data"]["others/"]["type"] == "cert"
    sys_.tune_auth_method("others", default_lease_ttl="10m")
    assert sys_.read_auth_method_tuning("others")["data"]["default_lease_ttl"] == 600
    sys_.disable_auth_method("others")
    assert "others/" not in sys_.list_auth_methods()["data"]

    before = sys_.get_encryption_key_status()["data"]["term"]
    sys_.rotate_encryption_key()
    assert sys_.get_encryption_key_status()["term"] == before + 1

    sys_.create_namespace("team")
    assert sys_.list_namespaces()["data"]["keys"] == ["team/"]
    team = hvac.Client(namespace="team")
    assert "secret/" not in team.sys.list_mounted_secrets_engines()["data"]
    team.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    team.secrets.kv.v2.create_or_update_secret("here", {"k": "v"})
    refused(exceptions.InvalidPath, client.secrets.kv.v2.read_secret_version, "here")
    sys_.delete_namespace("team")

    sys_.seal()
    assert sys_.is_sealed() and sys_.read_health_status().status_code == 503
    refused(exceptions.VaultDown, sys_.list_mounted_secrets_engines)
    refused(exceptions.InvalidRequest, sys_.submit_unseal_key, "no share")
    assert sys_.submit_unseal_key(shares[0])["progress"] == 1
    assert sys_.submit_unseal_key(reset=True)["progress"] == 0
    assert sys_.submit_unseal_keys(shares)["sealed"] is False
    print("sys: health, mounts, auth methods, tuning, rotation, namespaces, seal and unseal")


def policies(client):
    sys_ = client.sys
    text = 'path "secret/data/app/*" { capabilities = ["read", "create", "update"] }\npath "secret/metadata/app/*" { capabilities = ["list"] }'
    sys_.create_or_update_policy("app", text)
    assert sys_.read_policy("app")["data"]["rules"] == text
    assert sys_.read_acl_policy("app")["data"]["policy"] == text
    sys_.create_or_update_acl_policy("from-python", {"path": {"secret/data/x": {"capabilities": ["read"]}}})
    assert {"app", "default", "from-python", "root"} == set(sys_.list_acl_policies()["data"]["keys"])
    assert set(sys_.list_policies()["data"]["policies"]) == {"app", "default", "from-python", "root"}
    sys_.delete_acl_policy("from-python")
    refused(exceptions.InvalidPath, sys_.read_acl_policy, "from-python")
    refused(exceptions.InvalidRequest, sys_.create_or_update_policy, "bad", "path {")
    print("policies: HCL, a dictionary, both paths of the API")


def kv1(client):
    kv = client.secrets.kv.v1
    kv.create_or_update_secret("a/b", {"k": "v", "n": 1}, mount_point="plain")
    assert kv.read_secret("a/b", mount_point="plain")["data"] == {"k": "v", "n": 1}
    kv.create_or_update_secret("a/b", {"k": "w"}, method="PUT", mount_point="plain")
    assert client.read("plain/a/b")["data"] == {"k": "w"}
    assert kv.list_secrets("a", mount_point="plain")["data"]["keys"] == ["b"]
    assert client.list("plain")["data"]["keys"] == ["a/"]
    kv.delete_secret("a/b", mount_point="plain")
    refused(exceptions.InvalidPath, kv.read_secret, "a/b", mount_point="plain")
    assert client.read("plain/a/b") is None
    client.write_data("plain/odd name/%41?#", data={"data": 1, "path": 2})
    assert client.read("plain/odd name/%41?#")["data"] == {"data": 1, "path": 2}
    print("kv v1: put, post, read, list, delete")


def kv2(client):
    kv = client.secrets.kv.v2
    kv.configure(max_versions=10, cas_required=False)
    assert kv.read_configuration()["data"]["max_versions"] == 10
    assert kv.create_or_update_secret("app/db", {"user": "app", "password": "one"}, cas=0)["data"]["version"] == 1
    refused(exceptions.InvalidRequest, kv.create_or_update_secret, "app/db", {"k": 1}, cas=0)
    assert kv.create_or_update_secret("app/db", {"user": "app", "password": "two"}, cas=1)["data"]["version"] == 2
    assert kv.patch("app/db", {"port": 5432})["data"]["version"] == 3
    newest = kv.read_secret_version("app/db")["data"]
    equal(newest["data"], {"user": "app", "password": "two", "port": 5432})
    assert newest["metadata"]["version"] == 3 and newest["metadata"]["custom_metadata"] is None
    equal(kv.read_secret_version("app/db", version=1)["data"]["data"]["password"], "one")
    kv.delete_latest_version_of_secret("app/db")
    refused(exceptions.InvalidPath, kv.read_secret_version, "app/db", raise_on_deleted_version=True)
    deleted = kv.read_secret_version("app/db", raise_on_deleted_version=False)["data"]
    assert deleted["data"] is None and deleted["metadata"]["deletion_time"] != ""
    kv.undelete_secret_versions("app/db", [3])
    kv.delete_secret_versions("app/db", [1])
    kv.destroy_secret_versions("app/db", [2])
    kv.update_metadata("app/db", max_versions=5, cas_required=True, delete_version_after="3h", custom_metadata={"owner": "billing"})
    known = kv.read_secret_metadata("app/db")["data"]
    assert (known["current_version"], known["max_versions"], known["cas_required"]) == (3, 5, True)
    assert known["delete_version_after"] == "3h0m0s" and known["custom_metadata"] == {"owner": "billing"}
    assert [known["versions"][n]["destroyed"] for n in "123"] == [False, True, False]
    refused(exceptions.InvalidRequest, kv.create_or_update_secret, "app/db", {"k": 1})
    assert kv.list_secrets("app")["data"]["keys"] == ["db"] and kv.list_secrets("")["data"]["keys"] == ["app/"]
    refused(exceptions.InvalidPath, kv.list_secrets, "nothing")
    kv.delete_metadata_and_all_versions("app/db")
    refused(exceptions.InvalidPath, kv.read_secret_metadata, "app/db")
    print("kv v2: check-and-set, patch, delete, undelete, destroy, metadata, list")


def transit(client):
    engine = client.secrets.transit
    engine.create_key("app")
    engine.create_key("app")
    assert engine.read_key("app")["data"]["type"] == "aes256-gcm96"
    sealed = engine.encrypt_data("app", b64(b"a value"), associated_data=b64(b"row 7"))["data"]["ciphertext"]
    assert sealed.startswith("vault:v1:")
    assert engine.decrypt_data("app", sealed, associated_data=b64(b"row 7"))["data"]["plaintext"] == b64(b"a value")
    refused(exceptions.InvalidRequest, engine.decrypt_data, "app", sealed, associated_data=b64(b"row 8"))
    refused(exceptions.InvalidRequest, engine.encrypt_data, "app", "no base64!")
    batch = [{"plaintext": b64(b"one"), "reference": "a"}, {"plaintext": b64(b"two"), "reference": "b"}]
    results = engine.encrypt_data("app", batch_input=batch)["data"]["batch_results"]
    assert [result.get("reference") for result in results] == ["a", "b"]
    opened = engine.decrypt_data("app", batch_input=[{"ciphertext": result["ciphertext"]} for result in results])
    assert [base64.b64decode(result["plaintext"]) for result in opened["data"]["batch_results"]] == [b"one", b"two"]
    engine.rotate_key("app")
    rewrapped = engine.rewrap_data("app", results[0]["ciphertext"])["data"]["ciphertext"]
    assert rewrapped.startswith("vault:v2:")
    engine.update_key_configuration("app", min_decryption_version=2)
    refused(exceptions.InvalidRequest, engine.decrypt_data, "app", sealed, associated_data=b64(b"row 7"))

    key = engine.generate_data_key("app", "plaintext", bits=256)["data"]
    assert len(base64.b64decode(key["plaintext"])) == 32
    equal(engine.decrypt_data("app", key["ciphertext"])["data"]["plaintext"], key["plaintext"])
    assert "plaintext" not in engine.generate_data_key("app", "wrapped")["data"]

    for name in ["ed25519", "ecdsa-p256"]:
        engine.create_key(name, key_type=name)
        signature = engine.sign_data(name, b64(b"an order"))["data"]["signature"]
        assert engine.verify_signed_data(name, b64(b"an order"), signature=signature)["data"]["valid"] is True
        assert engine.verify_signed_data(name, b64(b"another"), signature=signature)["data"]["valid"] is False
        assert engine.read_key(name)["data"]["keys"]["1"]["public_key"]
    signature = engine.sign_data("ecdsa-p256", b64(b"an order"), hash_algorithm="sha2-256", marshaling_algorithm="jws")["data"]["signature"]
    valid = engine.verify_signed_data("ecdsa-p256", b64(b"an order"), signature=signature, hash_algorithm="sha2-256", marshaling_algorithm="jws")
    assert valid["data"]["valid"] is True
    assert set(engine.list_keys()["data"]["keys"]) == {"app", "ed25519", "ecdsa-p256"}
    refused(exceptions.InvalidRequest, engine.delete_key, "app")
    engine.update_key_configuration("app", deletion_allowed=True)
    engine.delete_key("app")
    refused(exceptions.InvalidPath, engine.read_key, "app")
    print("transit: encrypt, batch, rotate, rewrap, data keys, sign, verify, delete")


def tokens(client):
    store = client.auth.token
    made = store.create(policies=["app"], ttl="1h", display_name="python", meta={"team": "billing"}, num_uses=0)["auth"]
    token, accessor = made["client_token"], made["accessor"]
    assert set(made["policies"]) == {"app", "default"} and made["lease_duration"] == 3600 and made["renewable"]
    assert store.lookup(token)["data"]["meta"] == {"team": "billing"}
    assert store.lookup_accessor(accessor)["data"]["display_name"] == "token-python"
    assert accessor in store.list_accessors()["data"]["keys"]
    own = hvac.Client(token=token)
    assert own.is_authenticated() and own.lookup_token()["data"]["accessor"] == accessor
    assert own.auth.token.renew_self(increment="2h")["auth"]["lease_duration"] == 7200
    assert store.renew(token, increment="30m")["auth"]["lease_duration"] == 1800
    assert store.renew_accessor(accessor, increment="20m")["auth"]["lease_duration"] == 1200

    capabilities = own.sys.get_capabilities(["secret/data/app/db", "sys/mounts"])
    assert capabilities["data"]["secret/data/app/db"] == ["create", "read", "update"]
    assert capabilities["data"]["sys/mounts"] == ["deny"]
    assert client.sys.get_capabilities(["secret/data/app/db"], token=token)["data"]["capabilities"] == ["create", "read", "update"]
    assert client.sys.get_capabilities(["secret/metadata/app/x"], accessor=accessor)["data"]["secret/metadata/app/x"] == ["list"]
    own.secrets.kv.v2.create_or_update_secret("app/own", {"k": "v"})
    assert refused(exceptions.Forbidden, own.secrets.kv.v2.read_secret_version, "other") == ["permission denied"]
    refused(exceptions.Forbidden, own.sys.list_mounted_secrets_engines)

    store.create_or_update_role("batch", allowed_policies=["app"], orphan=True)
    assert store.read_role("batch")["data"]["orphan"] is True and store.list_roles()["data"]["keys"] == ["batch"]
    of_role = store.create(role_name="batch")["auth"]
    assert store.lookup(of_role["client_token"])["data"]["orphan"] is True
    refused(exceptions.InvalidRequest, store.create, role_name="batch", policies=["root"])
    store.delete_role("batch")
    orphan = store.create_orphan(policies=["app"], period="1h")["auth"]
    assert store.lookup(orphan["client_token"])["data"]["period"] == 3600
    store.revoke_and_orphan_children(orphan["client_token"])
    store.revoke(of_role["client_token"])
    own.auth.token.revoke_self()
    assert not own.is_authenticated()
    third = store.create(policies=["app"])["auth"]
    store.revoke_accessor(third["accessor"])
    refused(exceptions.Forbidden, hvac.Client(token=third["client_token"]).auth.token.lookup_self)
    print("tokens: create, roles, lookup, renew, capabilities, revoke")


def certificates(client, certificate, key):
    cert = client.auth.cert
    authority = os.environ["VAULT_CACERT"]
    cert.create_ca_certificate_role("app", certificate_file=authority, allowed_uri_sans="spiffe://x/app", token_policies=["app"], token_ttl=300)
    role = cert.read_ca_certificate_role("app")["data"]
    assert role["token_policies"] == ["app"] and role["allowed_uri_sans"] == ["spiffe://x/app"] and role["token_ttl"] == 300
    assert cert.list_certificate_roles()["data"]["keys"] == ["app"]

    app = hvac.Client(token="", cert=(certificate, key))
    login = app.auth.cert.login(name="app", cert_pem=certificate, key_pem=key)
    assert set(login["auth"]["policies"]) == {"app", "default"} and login["auth"]["lease_duration"] == 300
    app.secrets.kv.v2.create_or_update_secret("app/by-cert", {"k": "v"})
    refused(exceptions.Forbidden, app.sys.list_mounted_secrets_engines)
    # The operator's certificate matches no role.
    stranger = hvac.Client(token="")
    refused((exceptions.InvalidRequest, exceptions.Forbidden), stranger.auth.cert.login, name="app", cert_pem=os.environ["VAULT_CLIENT_CERT"], key_pem=os.environ["VAULT_CLIENT_KEY"])
    # A token of one certificate is nothing in the hands of another.
    refused(exceptions.Forbidden, hvac.Client(token=login["auth"]["client_token"]).secrets.kv.v2.read_secret_version, "app/by-cert", raise_on_deleted_version=True)
    # Without any login the certificate itself is the identity.
    nobody = hvac.Client(token="", cert=(certificate, key))
    assert nobody.secrets.kv.v2.read_secret_version("app/by-cert")["data"]["data"] == {"k": "v"}
    cert.delete_certificate_role("app")
    refused(exceptions.Forbidden, nobody.secrets.kv.v2.read_secret_version, "app/by-cert", raise_on_deleted_version=True)
    refused(exceptions.Forbidden, app.secrets.kv.v2.read_secret_version, "app/by-cert", raise_on_deleted_version=True)
    print("cert: roles, login, binding, the certificate as identity")


def main():
    certificate, key = sys.argv[1:]
    shares = sys.stdin.read().split()
    client = hvac.Client()
    system(client, shares)
    policies(client)
    kv1(client)
    kv2(client)
    transit(client)
    tokens(client)
    certificates(client, certificate, key)
    snapshot = client.sys.take_raft_snapshot()
    assert snapshot.status_code == 200 and len(snapshot.content) > 1000
    print("done with hvac " + version("hvac"))


main()
