#if canImport(Glibc)
    import Glibc
#endif

/// Opens the sockets of all queues of a port, all in the same copy mode.
///
/// Every port registers the UMEM with the kernel anew, and its queues share that registration (`XDP_SHARED_UMEM`): frames
/// move freely between all of them, but zero-copy or copy is a matter of the registration. So one port whose driver only
/// copies doesn't take zero-copy from the others.
struct SocketOpener {
    let interface: NetworkInterface
    let umem: UMEM
    let queueCount: Int
    let options: PortOptions

    /// The sockets, the copy mode got, and why (empty when nothing had to be given up).
    func open(native: Bool) throws(XDPError) -> (sockets: [XDPSocket], copy: CopyMode, reason: String) {
        switch options.copyMode {
        case .zeroCopy: return (try open(zeroCopy: true), .zeroCopy, "")
        case .copy: return (try open(zeroCopy: false), .copy, "copy was asked for")
        case .auto: break
        }
        guard native else { return (try open(zeroCopy: false), .copy, "zero-copy: only with native XDP") }
        do throws(XDPError) {
            return (try open(zeroCopy: true), .zeroCopy, "")
        } catch {
            guard case .zeroCopyUnsupported = error else { throw error }
            return (try open(zeroCopy: false), .copy, "zero-copy: \(error.cause)")
        }
    }

    private func open(zeroCopy: Bool) throws(XDPError) -> [XDPSocket] {
        var sockets: [XDPSocket] = []
        for queue in 0..<queueCount {
            sockets.append(try openPatiently(queue, zeroCopy: zeroCopy, sharing: sockets.first))
        }
        return sockets
    }

    /// The kernel frees the queues of a process that ended a moment later, so a busy queue is asked for again for a while.
    private func openPatiently(_ queue: Int, zeroCopy: Bool, sharing first: XDPSocket?) throws(XDPError) -> XDPSocket {
        var attempt = 1
        while true {
            do throws(XDPError) {
                return try XDPSocket(
                    interface: interface, queue: queue, umem: umem, sharing: first, zeroCopy: zeroCopy,
                    options: options)
            } catch {
                guard case .queueBusy = error, attempt < ProgramAttachment.patience.attempts else { throw error }
                attempt += 1
                usleep(ProgramAttachment.patience.microseconds)
            }
        }
    }
}
