// Snapshots as text: JSON that people write as well as programs, versioned, described by the tables
// of model/snapshot_document.h (docs/snapshot.md is its manual, made for readers). Both directions;
// what was written is read back to the same snapshot, and written again to the same bytes.
//
// Also read: the text that Ganeti's htools work on (`hbal -t FILE`), so that any cluster saved by
// gnt tools can be planned for.
#pragma once

#include <string>
#include <string_view>

#include "model/snapshot_document.h"

namespace chorok::model {

// The curve of hosts in a document without one: round numbers of a two-socket server of our day,
// nobody's measurement.
PowerCurve usual_curve();

// Names resolved, NAME* expanded, pools put before their children, model::check passed. An Error
// names the place in the document by its JSON pointer, and the nearest name for one not known.
Result<Snapshot> from_document(const SnapshotDocument& document);
// Fails when a name is missing or used twice: then nothing could refer to it.
Result<SnapshotDocument> to_document(const Snapshot& snapshot);

// JSON. At most kSnapshotBytesMax.
Result<Snapshot> read_snapshot(std::string_view text);
// One entry a line, what is as usual left out.
Result<std::string> write_snapshot(const Snapshot& snapshot);

// Whether a text looks like htools' (a line of fields between '|') and not like JSON.
bool looks_like_htools(std::string_view text);
// Sections groups, nodes, instances, cluster tags, policies. What the format does not say is
// assumed, and said in docs/snapshot.md. An Error names the line: "/12".
Result<Snapshot> read_htools(std::string_view text);

}  // namespace chorok::model
