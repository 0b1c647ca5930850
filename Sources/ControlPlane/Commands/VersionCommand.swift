import Glibc
import NIOCore

/// `version`: who answers, and on which system.
public struct VersionCommand: VICICommand {
    public let name = "version"
    private let daemon: String
    private let version: String

    public init(daemon: String, version: String) {
        self.daemon = daemon
        self.version = version
    }

    public func respond(to request: VICIMessage, session: VICISession) -> EventLoopFuture<VICIMessage> {
        var system = utsname()
        uname(&system)
        return session.eventLoop.makeSucceededFuture([
            "daemon": daemon,
            "version": version,
            "sysname": text(&system.sysname),
            "release": text(&system.release),
            "machine": text(&system.machine),
        ])
    }

    private func text<T>(_ field: inout T) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
