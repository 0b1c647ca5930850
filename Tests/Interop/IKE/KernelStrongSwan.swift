import Foundation
import TestSupport

/// strongSwan inside User Mode Linux, with that kernel's own ESP.
final class KernelStrongSwan: IKEDaemon, Sendable {
    let label = "strongSwan in User Mode Linux"
    private let machine: UserModeLinux

    private static let socket = "/run/charon.vici"

    /// Starts the daemon in a booted machine and loads the folder.
    init(_ folder: SwanctlFolder, in peer: LinuxPeer) throws {
        machine = peer.machine
        let settings = StrongSwanSettings(.kernel, socket: Self.socket, log: "/mnt/charon.log")
        try settings.text.write(
            to: machine.directory.appending(path: "strongswan.conf"), atomically: true, encoding: .utf8)
        try copy(folder)
        try start()
    }

    var log: String {
        (try? String(contentsOf: machine.directory.appending(path: "charon.log"), encoding: .utf8)) ?? ""
    }

    /// Replaces the configuration and loads it, without a restart.
    func load(_ folder: SwanctlFolder) throws {
        try copy(folder)
        try control("--load-all")
    }

    /// The machine sees nothing of the host's `/run`, so it gets a copy.
    private func copy(_ folder: SwanctlFolder) throws {
        let target = machine.directory.appending(path: "swanctl")
        try? FileManager.default.removeItem(at: target)
        try FileManager.default.copyItem(at: URL(filePath: folder.path), to: target)
    }

    func start() throws {
        try machine.shell(
            """
            rm -f \(Self.socket)
            \(variables) setsid charon-systemd </dev/null >/mnt/charon.out 2>&1 &
            echo $! >/run/charon.pid
            until [ -S \(Self.socket) ]; do kill -0 $(cat /run/charon.pid) || exit 1; busybox usleep 50000; done
            """)
        try control("--load-all")
    }

    func stop() throws {
        try machine.shell(
            "kill $(cat /run/charon.pid); while kill -0 $(cat /run/charon.pid) 2>/dev/null; do busybox usleep 50000; done"
        )
    }

    /// Takes from the kernel what it had, as a power failure would.
    func kill() throws {
        try machine.shell("kill -9 $(cat /run/charon.pid); ip xfrm state flush; ip xfrm policy flush")
    }

    func swanctl(_ arguments: [String], within limit: Duration) throws -> CommandResult {
        // The machine's shell fails when the command does, so the status is part of what it prints.
        let text = try machine.shell(
            """
            \(variables) swanctl \(arguments.joined(separator: " ")) --uri unix://\(Self.socket) 2>&1
            echo "status $?"
            """, within: limit)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        let status = lines.last.flatMap { $0.split(separator: " ").last }.flatMap { Int32($0) }
        return CommandResult(
            status: status ?? -1, output: lines.dropLast().joined(separator: "\n"), errors: "")
    }

    /// The kernel's SAs, e.g. to see whether one has extended sequence numbers.
    func kernelStates() throws -> String { try machine.shell("ip xfrm state") }

    private let variables = "STRONGSWAN_CONF=/mnt/strongswan.conf SWANCTL_DIR=/mnt/swanctl"
}
