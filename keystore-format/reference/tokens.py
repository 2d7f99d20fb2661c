"""Chapter 9: tokens."""

import hashlib
import hmac

from common import raw, same


def check(vector):
    token, token_key = raw(vector, "token", "token_key")
    digest = hashlib.sha256(b"coffer/v1/token\0" + token).digest()
    same(digest, vector["digest"], "digest")
    same(hmac.digest(token_key, digest, hashlib.sha256), vector["index"], "index")
