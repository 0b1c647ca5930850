import Packets

/// Datagrams that keep the NAT in front of us from forgetting where we are (RFC 3948 section 4).
final class Keepalives {
    private let context: ManagerContext
    /// IKE SAs that have a timer.
    private var kept: Set<UInt32> = []

    init(context: ManagerContext) { self.context = context }

    func begin(_ record: SessionRecord) {
        guard context.settings.keepaliveInSeconds > 0, record.isEstablished, record.session.nat.isLocal,
            kept.insert(record.id).inserted
        else { return }
        context.wake(.keepalive(record.id), at: context.after(seconds: context.settings.keepaliveInSeconds))
    }

    /// One keepalive, unless something else went that way lately.
    func isDue(_ record: SessionRecord) {
        guard record.session.nat.isLocal else {
            kept.remove(record.id)
            return
        }
        let interval = Duration.seconds(context.settings.keepaliveInSeconds)
        if context.now - record.lastSentAt >= interval {
            context.count.keepalivesSent += 1
            record.lastSentAt = context.now
            context.output.sendKeepalive(path: record.session.path)
        }
        context.wake(.keepalive(record.id), at: record.lastSentAt + interval)
    }

    /// The IKE SA is over.
    func end(_ record: SessionRecord) { kept.remove(record.id) }
}
