import IKEv2
import Logging
import Packets

/// Writes what happens in IKE SAs into the log: a line for each message, a record for each event, and for each failure
/// one record that says what to do.
///
/// What is the same again and again, as while a peer is misconfigured, is written now and then only (`RepeatedRecords`); all
/// of it is there at level debug.
final class EventLog {
    private let logger: Logger
    private let clock: () -> Instant
    private var repeated = RepeatedRecords()

    init(logger: Logger, clock: @escaping () -> Instant) {
        self.logger = logger
        self.clock = clock
    }

    func write(_ event: ManagerEvent) {
        let ike = event.ike
        switch event.event {
        case .session(let inner): write(inner, ike)
        case .closed(let reason): closed(reason, ike)
        case .note(let level, let text): write(level.logLevel, text, ike)
        }
    }

    /// A record that may come again and again.
    private func write(_ level: Logger.Level, _ text: String, _ ike: IKESAStatus, _ more: Logger.Metadata = [:]) {
        var (level, metadata) = (level, metadata(ike).with(more))
        if level > .debug {
            let subject = ike.connectionName.isEmpty ? "\(ike.path.remote.address)" : ike.connectionName
            switch repeated.judge(text, of: subject, at: clock()) {
            case .written(leftOut: 0): break
            case .written(let count): metadata["repeated"] = "\(count) times since the last record"
            case .leftOut: level = .debug
            }
        }
        logger.log(level: level, "\(text)", metadata: metadata)
    }

    private func write(_ event: SessionEvent, _ ike: IKESAStatus) {
        switch event {
        // There are thousands a second when there are thousands of peers.
        case .message(let line): logger.debug("\(line)", metadata: brief(ike))
        case .established(let initialContact): established(ike, initialContact: initialContact)
        case .childUp(let sa): log(.notice, "CHILD_SA is up", sa, ike)
        case .childDown(let sa, let reason): log(.notice, "CHILD_SA is down: \(reason)", sa, ike)
        case .childRekeyed(let old, let new):
            log(.notice, "CHILD_SA was rekeyed", new, ike, ["replaces": "\(old.id)"])
        case .rekeyed(let new):
            logger.notice("IKE SA was rekeyed", metadata: metadata(ike).with(["replaced-by": "\(new.id)"]))
        case .childFailed(let name, let explanation):
            failure(.warning, "CHILD_SA \(name) not set up", explanation, ike)
        case .failed(let explanation): failure(.error, "IKE SA not set up", explanation, ike)
        case .moved(let old, let new):
            logger.notice(
                "peer's address has changed",
                metadata: metadata(ike).with(["from": "\(old.remote)", "to": "\(new.remote)"]))
        case .note(let level, let text): write(level.logLevel, text, ike)
        }
    }

    private func established(_ ike: IKESAStatus, initialContact: Bool) {
        var more: Logger.Metadata = ["role": ike.isInitiator ? "initiator" : "responder"]
        if let identity = ike.localIdentity { more["local-id"] = "\(identity)" }
        if let identity = ike.remoteIdentity { more["remote-id"] = "\(identity)" }
        if ike.hasLocalNAT || ike.hasRemoteNAT {
            more["nat"] = ike.hasLocalNAT ? (ike.hasRemoteNAT ? "both" : "here") : "peer"
        }
        if initialContact { more["initial-contact"] = "yes" }
        logger.notice("IKE SA is established", metadata: metadata(ike).with(more))
    }

    private func closed(_ reason: CloseReason, _ ike: IKESAStatus) {
        switch reason {
        // Its failure has been told, with the explanation.
        case .negotiationFailed: logger.debug("IKE SA is closed", metadata: metadata(ike))
        case .peerDead, .expired: failure(.warning, "IKE SA is closed", reason.explanation, ike)
        case .halfOpenTimeout: write(.info, "IKE SA is closed: \(reason.words)", ike)
        default: logger.notice("IKE SA is closed: \(reason.words)", metadata: metadata(ike))
        }
    }

    /// One record, with everything that an operator needs.
    private func failure(_ level: Logger.Level, _ what: String, _ explanation: Explanation, _ ike: IKESAStatus) {
        var more = Logger.Metadata()
        if !explanation.details.isEmpty { more["details"] = .array(explanation.details.map { "\($0)" }) }
        if !explanation.remedy.isEmpty { more["remedy"] = "\(explanation.remedy)" }
        write(level, "\(what): \(explanation.what)", ike, more)
    }

    private func log(
        _ level: Logger.Level, _ text: String, _ sa: ChildSA, _ ike: IKESAStatus, _ more: Logger.Metadata = [:]
    ) {
        let child: Logger.Metadata = [
            "child": "\(sa.child.name)", "child-id": "\(sa.id)", "spi-in": "\(sa.inboundSPI)",
            "spi-out": "\(sa.outboundSPI)", "encapsulated": sa.isEncapsulated ? "yes" : "no",
        ]
        logger.log(level: level, "\(text)", metadata: metadata(ike).with(child).with(more))
    }

    private func metadata(_ ike: IKESAStatus) -> Logger.Metadata {
        // There may have been no way to the peer, and nothing to name.
        if ike.path.remote.address.isUnspecified { return brief(ike) }
        return brief(ike).with(["local": "\(ike.path.local)", "peer": "\(ike.path.remote)"])
    }

    /// The metadata that name an SA; a line of a message says the rest itself.
    private func brief(_ ike: IKESAStatus) -> Logger.Metadata {
        ike.connectionName.isEmpty ? ["ike": "\(ike.id)"] : ["ike": "\(ike.id)", "connection": "\(ike.connectionName)"]
    }
}

extension Logger.Metadata {
    fileprivate func with(_ more: Logger.Metadata) -> Logger.Metadata { merging(more) { _, new in new } }
}

extension NoteLevel {
    var logLevel: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        }
    }
}

extension CloseReason {
    /// The event as a log line says it.
    package var words: String {
        switch self {
        case .terminated: "ended by us"
        case .deletedByPeer: "ended by the peer"
        case .rekeyed: "replaced by a rekeyed one"
        case .reauthenticated: "replaced by a reauthenticated one"
        case .superseded: "another IKE SA with the same peer took its place"
        case .peerDead: "the peer does not answer"
        case .negotiationFailed(let explanation): explanation.what
        case .halfOpenTimeout: "the peer did not finish its negotiation"
        case .expired: "its time is up"
        }
    }
}

/// Tells which records of the log are the same once more, so that what fails for days does not fill it: the first three
/// are written, then one in ten minutes. What has not come for an hour is new again.
///
/// Records count as the same whatever numbers they have in them: attempts and pauses are counted up.
struct RepeatedRecords {
    private struct Entry {
        var count = 0
        var seenAt: Instant
        var writtenAt: Instant
        /// Left out since the last one that was written.
        var leftOut = 0
    }

    enum Verdict: Equatable {
        /// The record is written; so many before it were not.
        case written(leftOut: Int)
        case leftOut
    }

    private var entries: [String: Entry] = [:]

    static let capacity = 1024
    static let atOnce = 3
    private static let interval = Duration.seconds(600)
    private static let memory = Duration.seconds(3600)

    /// - Parameters:
    ///   - subject: whom the record is about, so that one peer's do not count for another.
    ///   - now: the gateway's clock.
    mutating func judge(_ text: String, of subject: String, at now: Instant) -> Verdict {
        let key = subject + "\n" + text.filter { !$0.isNumber }
        if entries[key] == nil, entries.count >= Self.capacity {
            entries = entries.filter { now - $0.value.seenAt < Self.interval }
            // Who has so much to tell is limited elsewhere.
            if entries.count >= Self.capacity { return .written(leftOut: 0) }
        }
        var entry = entries[key] ?? Entry(seenAt: now, writtenAt: now)
        if now - entry.seenAt >= Self.memory { entry = Entry(seenAt: now, writtenAt: now) }
        entry.count += 1
        entry.seenAt = now
        defer { entries[key] = entry }
        if entry.count > Self.atOnce, now - entry.writtenAt < Self.interval {
            entry.leftOut += 1
            return .leftOut
        }
        let leftOut = entry.leftOut
        entry.leftOut = 0
        entry.writtenAt = now
        return .written(leftOut: leftOut)
    }
}
