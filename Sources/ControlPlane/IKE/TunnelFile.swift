import Glibc
import IKEv2
import Logging
import NIOCore
import NIOPosix
import Packets

/// The file that says which tunnels are up, so that they come up again when the gateway is started anew: names of connections
/// and children, addresses of peers, no keys. It is only help: one that cannot be read is as good as none.
final class TunnelFile {
    private let path: String
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var isBeingWritten = false
    private var hasFailed = false

    /// A tunnel takes two names; what is longer than this was not written by us.
    private static let longest = 16 << 20

    init(directory: String, eventLoop: any EventLoop, logger: Logger) {
        path = directory + "/tunnels"
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// The tunnels that were up when the last gateway ended; none when that is not known.
    func read() -> [RememberedTunnel] {
        do throws(FileFailure) {
            guard let text = try Self.content(path) else { return [] }
            guard let tunnels = TunnelText.decode(text) else {
                throw FileFailure(description: "it is not what this version writes")
            }
            return tunnels
        } catch {
            logger.warning(
                "which tunnels were up is not known: the file is ignored, and written anew",
                metadata: ["file": "\(path)", "reason": "\(error.description)"])
            return []
        }
    }

    /// Writes on another thread. False: the last ones are still being written; try again.
    func write(_ tunnels: Set<RememberedTunnel>) -> Bool {
        guard !isBeingWritten else { return false }
        isBeingWritten = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { [path] () -> FileFailure? in
            do throws(FileFailure) {
                try Self.replace(path, by: TunnelText.encode(tunnels))
                return nil
            } catch {
                return error
            }
        }.whenComplete { result in bound.value.written(try? result.get()) }
        return true
    }

    private func written(_ failure: FileFailure??) {
        isBeingWritten = false
        guard case .some(.some(let failure)) = failure else { return hasFailed = false }
        if !hasFailed {
            logger.warning(
                "which tunnels are up is not kept for the next start: give --state a directory that can be written to",
                metadata: ["file": "\(path)", "error": "\(failure.description)"])
        }
        hasFailed = true
    }

    // MARK: - The file

    private struct FileFailure: Error, Sendable {
        let description: String

        static var ofLastCall: FileFailure { FileFailure(description: String(cString: strerror(errno))) }
    }

    /// The contents of the file; nil: there is none.
    private static func content(_ path: String) throws(FileFailure) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw .ofLastCall
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &block, block.count)
            if count < 0 { throw .ofLastCall }
            if count == 0 { return bytes }
            bytes += block[..<count]
            if bytes.count > longest { throw FileFailure(description: "it is too long") }
        }
    }

    /// The file has the old content or the new one, whatever happens meanwhile.
    private static func replace(_ path: String, by bytes: [UInt8]) throws(FileFailure) {
        let next = path + ".new"
        unlink(next)
        let descriptor = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .ofLastCall }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + written }, bytes.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .ofLastCall }
            written += count
        }
        guard fsync(descriptor) == 0, rename(next, path) == 0 else { throw .ofLastCall }
    }
}
