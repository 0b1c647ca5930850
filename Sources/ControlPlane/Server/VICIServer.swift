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
