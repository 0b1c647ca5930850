import Foundation
import Synchronization
import TestSupport

/// A whole other Linux kernel as a process (Debian's package user-mode-linux), with the kernel's own ESP, whose network
/// cards are veth ends in a namespace.
final class UserModeLinux: Sendable {
    private let process: RunningProcess
    /// The directory that the machine sees as `/mnt`.
    let directory: URL
    private let commands = Atomic<Int>(0)

    /// Boots the machine; `cards` names the interfaces in `namespace` that become its `vec0`, `vec1`, …
    init(in namespace: NetworkNamespace, cards: [(interface: String, address: String)]) throws {
        directory = URL(filePath: TestRun.current.scratchPath("uml"))
        try FileManager.default.createDirectory(at: directory.appending(path: "q"), withIntermediateDirectories: true)
        let start = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Peers/uml-init.sh").path
        let vectors = cards.enumerated().map { number, card in
            "vec\(number):transport=raw,ifname=\(card.interface),depth=128,mac=\(card.address)"
        }
        process = try RunningProcess(
            [
                "linux.uml", "umid=\(directory.lastPathComponent)", "uml_dir=\(directory.path)/", "mem=256M",
                "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "init=\(start)",
                "sluice.dir=\(directory.path)", "con=null", "con0=null,fd:1", "quiet", "loglevel=4",
                "random.trust_bootloader=on",
            ] + vectors,
            in: namespace, name: "uml")
        let ready = directory.appending(path: "ready").path
        do {
            try eventually("boot of User Mode Linux", within: .seconds(180), every: .milliseconds(50)) {
                if let end = process.poll() { throw NeverHappened(description: "User Mode Linux ended: \(end)") }
                return access(ready, F_OK) == 0
            }
        } catch {
            process.kill()
            throw NeverHappened(description: "\(error)\n\(process.outputForHumans)")
        }
    }

    /// Runs a shell script inside, which must succeed, and returns what it printed.
    @discardableResult
    func shell(_ script: String, within limit: Duration = .seconds(120)) throws -> String {
        let number = commands.add(1, ordering: .relaxed).newValue
        let base = directory.appending(path: "q/\(String(format: "%06d", number))").path
        try (script + "\n").write(toFile: base + ".new", atomically: false, encoding: .utf8)
        guard rename(base + ".new", base + ".sh") == 0 else { throw NeverHappened(description: "rename \(base)") }
        try eventually("end of: \(script)", within: limit, every: .milliseconds(10)) {
            if let end = process.poll() { throw NeverHappened(description: "User Mode Linux ended: \(end)") }
            return access(base + ".rc", F_OK) == 0
        }
        let output = (try? String(contentsOfFile: base + ".out", encoding: .utf8)) ?? ""
        let status = try String(contentsOfFile: base + ".rc", encoding: .utf8).trimmingCharacters(
            in: .whitespacesAndNewlines)
        guard status == "0" else {
            throw CommandFailure(
                arguments: ["User Mode Linux:", script], reason: "exit status \(status)", output: output)
        }
        return output
    }

    /// Ends the machine; there is nothing in it worth a shutdown.
    func stop() { process.kill() }
}
