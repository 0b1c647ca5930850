import FuzzSupport
import Netlink

/// Datagrams from the kernel: any bytes are decoded or refused, and the state that they make answers.
@main
enum FuzzNetlink {
    static func main() {
        fuzz { input, count in
            let messages = NetlinkDecoder.decode(UnsafeRawBufferPointer(start: input, count: count))
            // Each message has at least a header of 16 bytes; one more may tell of the malformed rest.
            require(messages.count <= count / 16 + 1, "more messages than fit")
            var state = NetworkState()
            for received in messages { _ = state.apply(received.message) }
            for received in messages {
                require(!state.apply(received.message).contains(.links) || messages.count > 1, "not settled")
            }
            let routes = state.forwardingRoutes()
            require(routes.count <= messages.count, "more routes than messages")
            require(state.localAddresses().count <= messages.count, "more addresses than messages")
        }
    }
}
