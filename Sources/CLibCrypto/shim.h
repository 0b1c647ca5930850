// libcrypto's public headers, and what Swift cannot import of them.
#pragma once
// SHA-1 and SHA-2 states are used directly (they copy without allocating); OpenSSL 3 marks these functions deprecated.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/modes.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
