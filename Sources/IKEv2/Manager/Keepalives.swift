extension SessionManager {
    /// Keeps the NAT in front of us from forgetting where we are (RFC 3948 section 4).
    func beginKeepalives(_ record: SessionRecord) {
        guard settings.keepaliveInSeconds > 0, !record.hasKeepalives, record.isEstablished, isBehindNAT(record) else {
            return
        }
        record.hasKeepalives = true
        timers.add(.keepalive(record.id), at: after(seconds: settings.keepaliveInSeconds))
    }

    /// One keepalive, unless something else went that way lately.
    func keepAlive(_ id: UInt32) {
        guard let record = table[id] else { return }
        guard isBehindNAT(record) else { return record.hasKeepalives = false }
        let interval = UInt64.seconds(settings.keepaliveInSeconds)
        if now &- record.lastSentAt >= interval {
            count.keepalivesSent += 1
            record.lastSentAt = now
            output.sendKeepalive(path: record.session.path)
        }
        timers.add(.keepalive(id), at: record.lastSentAt.addingWithoutOverflow(interval))
    }

    private func isBehindNAT(_ record: SessionRecord) -> Bool {
        record.session.nat.isLocal
    }
}
