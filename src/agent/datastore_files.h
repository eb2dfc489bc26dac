// Files beneath a datastore that are not a VM's business: uploads, listings, removal. Every folder
// on the way is opened without following links, so nothing leaves the datastore. These calls block;
// they belong on a thread of their own.
#pragma once

#include <memory>
#include <string>

#include "model/protocol.h"
#include "net/http_client.h"

namespace chorok::agent {

// Stores the answer's body under a temporary name, checks size and checksum, refuses a disk image
// that refers to other files, and renames it. Replaces a file that is there.
Result<model::FileInfo> fetch_file(net::ClientRequest fetch,
                                   std::shared_ptr<net::TlsClientContext> tls,
                                   const model::FileRequest& request, const std::string& root);
// At most what fits into one message; names that begin with a dot are Chorok's own.
Result<model::FileList> list_files(const std::string& root, const std::string& prefix);
// Success when there is none. Folders stay.
Result<> remove_file_beneath(const std::string& root, const std::string& path);

}  // namespace chorok::agent
