import CMalloc
import NIOCore
import Platform

/// The figures of the daemon as a whole, in the shape that strongSwan's `stats` command gives them.
package struct DaemonStatistics: Hashable, Sendable {
    package var uptimeSeconds: Int
    /// The start of the daemon, as text in local time.
    package var since: String
    package var workers: Int
    package var idleWorkers: Int
    package var features: [String]
    /// IKE SAs, and those of them that are still being negotiated.
    package var sessions: Int
    package var halfOpenSessions: Int

    package init(
        uptimeSeconds: Int, since: String, workers: Int, idleWorkers: Int, features: [String], sessions: Int = 0,
        halfOpenSessions: Int = 0
    ) {
        self.uptimeSeconds = uptimeSeconds
        self.since = since
        self.workers = workers
        self.idleWorkers = idleWorkers
        self.features = features
        self.sessions = sessions
        self.halfOpenSessions = halfOpenSessions
    }
}

/// `stats`: uptime and load, so that `swanctl --stats` and monitoring plugins work unchanged.
///
/// Sluice has no job queues; those figures are zero.
package struct StatsCommand: VICICommand {
    package let name = "stats"
    private let collect: @Sendable () -> DaemonStatistics

    /// `collect` is called on the control event loop.
    package init(collect: @escaping @Sendable () -> DaemonStatistics) {
        self.collect = collect
    }

    package func respond(to request: VICIMessage, session: VICISession) -> EventLoopFuture<VICIMessage> {
        let statistics = collect()
        let busy = statistics.workers - statistics.idleWorkers
        var workers: VICIMessage = ["total": "\(statistics.workers)", "idle": "\(statistics.idleWorkers)"]
        workers.append("active", section: ["critical": "\(busy)", "high": "0", "medium": "0", "low": "0"])
        var answer = VICIMessage()
        answer.append(
            "uptime",
            section: ["running": Self.words(statistics.uptimeSeconds), "since": statistics.since])
        answer.append("workers", section: workers)
        answer.append("queues", section: ["critical": "0", "high": "0", "medium": "0", "low": "0"])
        answer.append("scheduled", 0)
        answer.append(
            "ikesas", section: ["total": "\(statistics.sessions)", "half-open": "\(statistics.halfOpenSessions)"])
        answer.append("plugins", list: statistics.features)
        answer.append("mallinfo", section: Self.memory)
        return session.eventLoop.makeSucceededFuture(answer)
    }

    /// The figures of the C library's allocator, in bytes.
    private static var memory: VICIMessage {
        let memory = mallinfo2()
        return [
            "sbrk": "\(memory.arena)", "mmap": "\(memory.hblkhd)", "used": "\(memory.uordblks)",
            "free": "\(memory.fordblks)",
        ]
    }

    /// The largest unit that says it in at least two of them: "90 seconds", "5 minutes", "3 days".
    static func words(_ seconds: Int) -> String {
        for (unit, size) in [("days", 86_400), ("hours", 3600), ("minutes", 60)] where seconds >= 2 * size {
            return "\(seconds / size) \(unit)"
        }
        return "\(seconds) seconds"
    }
}

/// `version`: who answers, and on which system.
package struct VersionCommand: VICICommand {
    package let name = "version"
    private let daemon: String
    private let version: String

    package init(daemon: String, version: String) {
        self.daemon = daemon
        self.version = version
    }

    package func respond(to request: VICIMessage, session: VICISession) -> EventLoopFuture<VICIMessage> {
        let system = CurrentProcess.system
        return session.eventLoop.makeSucceededFuture([
            "daemon": daemon,
            "version": version,
            "sysname": system.name,
            "release": system.release,
            "machine": system.machine,
        ])
    }
}
