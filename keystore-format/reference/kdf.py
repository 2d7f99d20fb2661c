"""Chapter 2."""

import common
from common import number, raw, same


def check(vector):
    key = raw(vector, "key")
    if "label" in vector:
        same(common.kdf(key, vector["label"], raw(vector, "info"), len(vector["out"]) // 2), vector["out"])
        return
    store, environment, wrap = raw(vector, "store", "environment", "wrap")
    ctx = store + environment
    label, info, length = {
        "root_id": ("root-id", ctx, 32),
        "seal_mac_key": ("seal-mac", ctx, 32),
        "keyring_key": ("keyring", ctx, 32),
        "record_key_of_kind_66_in_epoch_3": (
            "rec",
            ctx + number(vector["kind"], 2) + number(vector["epoch"], 4),
            32,
        ),
        "share_set_id": ("set", ctx + wrap, 8),
        "kek_of_an_inheriting_child": ("child", environment, 32),
    }[vector["name"]]
    same(common.kdf(key, label, info, length), vector["out"])
