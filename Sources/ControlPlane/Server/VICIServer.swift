import Dispatch
import Logging
import NIOCore
import NIOPosix
import Packets
import Platform

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
        if Self.inode(of: path) == inode { try? Files.remove(path) }
    }

    private static func inode(of path: String) -> UInt64? { (try? Files.status(path, followsLinks: false))?.inode }
}

/// Reason why the control socket could not be opened.
package enum ControlSocketError: OperatorError, Hashable, Sendable {
    case pathTooLong(String, limit: Int)
    case inUse(String)
    case notASocket(String)
    case system(String, call: String, errno: Int32)

    package var problem: Problem {
        switch self {
        case .pathTooLong(let path, let limit):
            Problem(
                "control socket \(path): the path is longer than \(limit) bytes",
                remedy: "give a shorter one with --control")
        case .inUse(let path):
            Problem(
                "control socket \(path): another sluice answers there",
                remedy: "stop it, or give this one another --control")
        case .notASocket(let path):
            Problem(
                "control socket \(path): a file that is not a socket is in the way",
                remedy: "remove it, or choose another --control")
        case .system(let path, let call, let errno):
            Problem("control socket \(path): \(call): \(Errno(rawValue: errno))")
        }
    }
}

/// Opens the listening end of the control socket: a UNIX stream socket, mode 0660.
enum ControlSocket {
    /// Binds `path`. A socket that a crashed run left behind is replaced; one that answers is an error.
    static func bind(_ path: String) throws(ControlSocketError) -> Int32 {
        let address = try address(path)
        try makeParentDirectory(of: path)
        try removeStale(path, address)
        let socket = try open(path)
        do throws(Errno) {
            // The mode goes on the socket before it has a name, so that there is no moment when others may connect.
            try Files.setMode(of: socket.descriptor, 0o600)
            try socket.bind(to: address)
            try Files.setMode(path, 0o660)
        } catch {
            throw ControlSocketError.system(path, call: "bind", errno: error.rawValue)
        }
        return socket.release()
    }

    /// The socket address of a path.
    static func address(_ path: String) throws(ControlSocketError) -> KernelAddress {
        guard let address = KernelAddress(path: path) else {
            throw .pathTooLong(path, limit: KernelAddress.longestPath)
        }
        return address
    }

    private static func open(_ path: String) throws(ControlSocketError) -> Socket {
        do { return try Socket(.localStream) } catch {
            throw .system(path, call: "socket", errno: error.rawValue)
        }
    }

    private static func makeParentDirectory(of path: String) throws(ControlSocketError) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let parent = String(path[..<slash])
        do { try Files.makeDirectory(parent, mode: 0o755) } catch {
            guard error == .fileExists else { throw .system(path, call: "mkdir \(parent)", errno: error.rawValue) }
        }
    }

    private static func removeStale(_ path: String, _ address: KernelAddress) throws(ControlSocketError) {
        guard let status = try? Files.status(path, followsLinks: false) else { return }
        guard status.kind == .socket else { throw .notASocket(path) }
        let probe = try open(path)
        do throws(Errno) {
            try probe.connect(to: address)
        } catch {
            guard error == .connectionRefused else {
                throw ControlSocketError.system(path, call: "connect", errno: error.rawValue)
            }
            return try removeFile(path)
        }
        throw .inUse(path)
    }

    private static func removeFile(_ path: String) throws(ControlSocketError) {
        do { try Files.remove(path) } catch {
            guard error == .noSuchFileOrDirectory else { throw .system(path, call: "unlink", errno: error.rawValue) }
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
