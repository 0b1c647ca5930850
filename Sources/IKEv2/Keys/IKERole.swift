/// Who began the IKE SA, or its last rekey: decides which keys are whose (RFC 7296 sections 2.14 and 2.18).
public enum IKERole: Hashable, Sendable {
    case initiator, responder

    public var peer: IKERole { self == .initiator ? .responder : .initiator }
}
