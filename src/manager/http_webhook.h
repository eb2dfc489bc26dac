// Posts webhooks over HTTP and HTTPS on the I/O loop.
#pragma once

#include "manager/webhooks.h"
#include "net/async.h"

namespace chorok::manager {

// Redirects are not followed; a receiver has ten seconds.
PostWebhook http_webhook_post(const net::Executor& executor);

}  // namespace chorok::manager
