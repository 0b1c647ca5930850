import Dispatch
import Glibc
import Logging
import NIOCore
import NIOPosix

/// The control protocol's server: one UNIX socket, all clients on one event loop.
package struct VICIServer: Sendable {
    private let channel: any Channel
    private let path: String
    private let inode: UInt64

    /// Opens the socket and answers on `group`, which should have one loop. Blocks until it listens.
    package static func start(
        path: String, registry: CommandRegistry, group: MultiThreadedEventLoopGroup, logger: Logger
    ) throws -> VICIServer {
        let descriptor = try ControlSocket.bind(path)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 16)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 256 * 1024, high: 1024 * 1024))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        ByteToMessageHandler(
                            VICIFrameDecoder(),
                            maximumBufferSize: VICILimits.maximumPacketBytes + VICILimits.lengthFieldBytes),
                        VICIConnection(registry: registry, logger: logger))
                }
            }
        let channel = try bootstrap.withBoundSocket(descriptor).wait()
        return VICIServer(channel: channel, path: path, inode: Self.inode(of: path) ?? 0)
    }

    /// Stops listening and removes the socket, unless somebody else has put theirs in its place.
    package func stop() throws {
        try channel.close().wait()
        if Self.inode(of: path) == inode { unlink(path) }
    }

    private static func inode(of path: String) -> UInt64? {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }
}

/// Why the control socket could not be opened.
package enum ControlSocketError: Error, Hashable, Sendable, CustomStringConvertible {
    case pathTooLong(String, limit: Int)
    case inUse(String)
    case notASocket(String)
    case system(String, call: String, errno: Int32)

    package var description: String {
        switch self {
        case .pathTooLong(let path, let limit):
            "control socket \(path): the path is longer than \(limit) bytes; give a shorter one with --control"
        case .inUse(let path):
            "control socket \(path): another sluice answers there; stop it, or give this one another --control"
        case .notASocket(let path):
            "control socket \(path): a file that is no socket is in the way; remove it, or choose another --control"
        case .system(let path, let call, let errno):
            "control socket \(path): \(call): \(String(cString: strerror(errno)))"
        }
    }
}

/// Opens the listening end of the control socket: a UNIX stream socket, mode 0660.
enum ControlSocket {
    /// Binds `path`. A socket that a crashed run left behind is replaced; one that answers is an error.
    static func bind(_ path: String) throws(ControlSocketError) -> Int32 {
        let address = try UnixAddress(path)
        try makeParentDirectory(of: path)
        try removeStale(path, address)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(path, call: "socket", errno: errno) }
        // The mode goes on the socket before it has a name, so that there is no moment when others may connect.
        guard fchmod(descriptor, 0o600) == 0, address.with({ Glibc.bind(descriptor, $0, $1) }) == 0,
            chmod(path, 0o660) == 0
        else {
            let failure = errno
            close(descriptor)
            throw .system(path, call: "bind", errno: failure)
        }
        return descriptor
    }

    private static func makeParentDirectory(of path: String) throws(ControlSocketError) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let parent = String(path[..<slash])
        guard mkdir(parent, 0o755) == 0 || errno == EEXIST else {
            throw .system(path, call: "mkdir \(parent)", errno: errno)
        }
    }

    private static func removeStale(_ path: String, _ address: UnixAddress) throws(ControlSocketError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path) }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { throw .system(path, call: "socket", errno: errno) }
        defer { close(probe) }
        guard address.with({ connect(probe, $0, $1) }) != 0 else { throw .inUse(path) }
        guard errno == ECONNREFUSED else { throw .system(path, call: "connect", errno: errno) }
        guard unlink(path) == 0 || errno == ENOENT else { throw .system(path, call: "unlink", errno: errno) }
    }
}

/// A UNIX socket address.
struct UnixAddress {
    private var address = sockaddr_un()

    init(_ path: String) throws(ControlSocketError) {
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < capacity else { throw .pathTooLong(path, limit: capacity - 1) }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    }

    func with(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

extension MultiThreadedEventLoopGroup {
    /// Ends the loops and waits until their threads have ended.
    ///
    /// NIO's own blocking call reports through a global dispatch queue, whose threads are also those of Swift's tasks: where
    /// all of them wait, it waits for ever. A queue of our own always gets a thread.
    package func stop() {
        let stopped = DispatchSemaphore(value: 0)
        shutdownGracefully(queue: DispatchQueue(label: "event-loops.stop")) { _ in stopped.signal() }
        stopped.wait()
    }
}
