//! The lines to paste.
use super::say;
use super::setup::House;

pub(super) fn print(house: &House) {
    let (folder, address) = (house.folder.display(), house.address);
    say(
        "",
        format_args!(
            "
It stays up until Ctrl-C. In another terminal:

  export COFFER_ADDR=https://{address} COFFER_CACERT={folder}/ca.pem
  export COFFER_CLIENT_CERT={folder}/operator.pem COFFER_CLIENT_KEY={folder}/operator-key.pem
  export COFFER_TOKEN=$(cat {folder}/root-token.txt) COFFER_NAMESPACE=prod

  coffer kv get secret/app/db
  coffer operator status
  coffer audit verify {folder}/data/audit

  curl --cacert {folder}/ca.pem --cert {folder}/app-prod.pem --key {folder}/app-prod-key.pem \\
    -H 'X-Vault-Namespace: prod' https://{address}/v1/secret/data/app/db

  export VAULT_ADDR=$COFFER_ADDR VAULT_CACERT=$COFFER_CACERT VAULT_CLIENT_CERT=$COFFER_CLIENT_CERT
  export VAULT_CLIENT_KEY=$COFFER_CLIENT_KEY VAULT_TOKEN=$COFFER_TOKEN VAULT_NAMESPACE=prod
  bao kv get secret/app/db

The shares are in {folder}/shares.txt: keep no such file in production."
        ),
    );
}
