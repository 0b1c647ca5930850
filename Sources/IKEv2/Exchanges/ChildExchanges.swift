import IKEv2Messages
import IPsec

// Where CREATE_CHILD_SA exchanges begin (queue them with `enqueue`) and are answered.

extension Session {
    func enqueueChild(_ child: Child, hint: TrafficSelector?) {}
    func beginRekey(childID: UInt32, _ step: inout Step) {}
    func beginIKERekey(_ step: inout Step) {}
    func respondToCreateChild(_ request: Message, form: MessageForm.Name, _ step: inout Step) -> [Payload] {
        [.notify(NotifyPayload(.noAdditionalSAs))]
    }
}
