// Runs inside a pod's network namespace, for a moment: listens and hands the socket to its parent. Arguments: PORT HOST.
import { createServer } from 'node:net';

const [port, host] = process.argv.slice(2);
const server = createServer();
server.on('error', (error) => {
  process.send?.({ error: error.message }, () => process.exit(1));
});
server.listen({ port: Number(port), host, exclusive: true }, () => {
  process.send?.('listening', server, {}, (error) => {
    if (error !== null) process.exit(1);
  });
});
// The parent disconnects once it has the socket, or is gone.
process.on('disconnect', () => process.exit(0));
