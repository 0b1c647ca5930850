import Glibc

/// A UDP socket for one peer.
public final class DatagramSocket {
    private let file: Int32

    public init(from namespace: NetworkNamespace, to destination: String, port: UInt16, _ version: IPVersion) throws {
        file = try namespace.perform {
            let file = openSocket(
                version == .ipv4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue), Int32(IPPROTO_UDP))
            guard file >= 0 else { throw SocketFailure("UDP socket") }
            return file
        }
        try SocketAddress(destination, port: port, version).withPointer { address, length in
            guard connect(file, address, length) == 0 else { throw SocketFailure("connect to \(destination)") }
        }
    }

    deinit { close(file) }

    /// Sends, and waits for an answer. 0 when one came or none did, else the error that an ICMP message brought.
    public func exchange(_ payload: [UInt8], within limit: Duration) -> Int32 {
        var timeout = limit.asTimeval
        setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        if send(file, payload, payload.count, 0) < 0 { return errno }
        var buffer = [UInt8](repeating: 0, count: 2048)
        if recv(file, &buffer, buffer.count, 0) >= 0 { return 0 }
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : errno
    }
}

/// Sends one small datagram to each of many addresses, as a scan of a network does.
public final class Scanner {
    private let file: Int32
    private let version: IPVersion

    /// `source`: an address of the namespace.
    public init(from namespace: NetworkNamespace, source: String, _ version: IPVersion) throws {
        self.version = version
        file = try namespace.perform {
            let file = openSocket(
                version == .ipv4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue), Int32(IPPROTO_UDP))
            guard file >= 0 else { throw SocketFailure("UDP socket") }
            return file
        }
        try SocketAddress(source, port: 0, version).withPointer { address, length in
            guard bind(file, address, length) == 0 else { throw SocketFailure("bind to \(source)") }
        }
    }

    deinit { close(file) }

    /// Probes each address at `port`, pausing a millisecond after every 32. Errors that earlier probes brought do not matter.
    public func probe(_ addresses: some Sequence<String>, port: UInt16 = 9) throws {
        let payload: [UInt8] = [1, 2, 3, 4]
        for (number, text) in addresses.enumerated() {
            try SocketAddress(text, port: port, version).withPointer { address, length in
                _ = sendto(file, payload, payload.count, Int32(MSG_DONTWAIT), address, length)
            }
            if number % 32 == 31 { usleep(1000) }
        }
    }
}
