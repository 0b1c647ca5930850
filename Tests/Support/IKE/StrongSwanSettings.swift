/// strongSwan's own settings, `strongswan.conf`, for a daemon that a test starts.
public struct StrongSwanSettings: Sendable {
    /// Where ESP is done.
    public enum Backend: String, Sendable {
        /// In the daemon, in UDP on port 4500 alone.
        case userSpace = "kernel-libipsec kernel-netlink"
        /// In the kernel.
        case kernel = "kernel-netlink"
    }

    public var backend: Backend
    /// The control socket.
    public var socket: String
    /// The log file.
    public var log: String

    public init(_ backend: Backend, socket: String, log: String) {
        self.backend = backend
        self.socket = socket
        self.log = log
    }

    /// The file. The first plugins are the fast ones. A peer that is silent is given up after some 13 seconds.
    public var text: String {
        """
        charon-systemd {
          load = aesni openssl random nonce sha1 sha2 hmac kdf gcm ctr ccm cmac chapoly curve25519 pem pkcs1 pkcs8 x509 \
        pubkey constraints revocation \(backend.rawValue) socket-default vici updown
          retransmit_timeout = 1.0
          retransmit_base = 1.5
          retransmit_tries = 4
          make_before_break = yes
          plugins {
            vici {
              socket = unix://\(socket)
            }
            kernel-libipsec {
              allow_peer_ts = yes
            }
          }
          journal {
            default = -1
          }
          filelog {
            file {
              path = \(log)
              default = 1
              cfg = 2
              time_format = %H:%M:%S
              append = yes
              flush_line = yes
            }
          }
        }

        """
    }
}
