import Platform

/// Tells systemd how the service is doing (sd_notify(3)), when it started us.
enum ServiceManager {
    static func ready(_ status: String) { notify("READY=1\nSTATUS=\(status)\n") }
    static func stopping() { notify("STOPPING=1\n") }

    /// One datagram to `NOTIFY_SOCKET`; a leading `@` means the abstract namespace. Failures are of no consequence.
    private static func notify(_ state: String) {
        guard let name = CurrentProcess.environment("NOTIFY_SOCKET"), let first = name.first else { return }
        let address: KernelAddress? =
            switch first {
            case "/": KernelAddress(path: name)
            case "@": KernelAddress(abstract: String(name.dropFirst()))
            default: nil
            }
        guard let address, let socket = try? Socket(.localDatagrams) else { return }
        _ = try? socket.send(Array(state.utf8), to: address)
    }
}
