// Random names and secrets from the system's generator. Ids are short enough to read aloud: base32
// in Crockford's alphabet, which has no i, l, o or u.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace chorok::crypto {

// Never fails: a system without randomness is one on which nothing may go on.
void random_bytes(void* out, std::size_t size);
// `length` characters of base32, 5 bits each.
std::string random_text(std::size_t length);
// "vm" gives "vm-7k3f0q9xzt": 50 bits, so that a million things have one chance in 2,000 of a clash
// ever; who creates things lets the store refuse it.
std::string random_id(std::string_view prefix);
// RFC 9562 version 4, "f47ac10b-58cc-4372-a567-0e02b2c3d479".
std::string uuid_v4();

}  // namespace chorok::crypto
