/** The two messages of grpc.health.v1.Health/Check, framed as gRPC sends them. Source: grpc/grpc, doc/health-checking.md. */

/** HealthCheckRequest { service = 1 } in one uncompressed gRPC frame. */
export function healthCheckRequest(service: string): Uint8Array {
  const name = new TextEncoder().encode(service);
  const message = name.length === 0 ? [] : [0x0a, ...varint(name.length), ...name];
  const frame = new Uint8Array(5 + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, 5);
  return frame;
}

/** Whether a gRPC frame holds a HealthCheckResponse { status = 1 } that says SERVING (1). */
export function isServing(frame: Uint8Array): boolean {
  if (frame.length < 5 || frame[0] !== 0) return false;
  const length = new DataView(frame.buffer, frame.byteOffset, 5).getUint32(1);
  const message = frame.subarray(5, 5 + length);
  // Its only field is the status; anything longer or other is not the answer we know.
  return length === 2 && message.length === 2 && message[0] === 0x08 && message[1] === 1;
}

function varint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
