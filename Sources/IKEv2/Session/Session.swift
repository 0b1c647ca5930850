import IKEv2Messages
import IPsec

/// One IKE SA (RFC 7296): events in, actions out. No socket, no clock.
public final class Session {
    init() {}
}
