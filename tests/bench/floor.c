// The floor: what the socket writes of a fan-out cost by themselves.
// usage: floor PORT CONNECTIONS EVENT_BYTES
// Answers CONNECTIONS requests with an event stream, prints "ready", and then writes one event of EVENT_BYTES to every
// connection for each byte it reads on standard input. Ends at its end.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 4) { fprintf(stderr, "usage: floor PORT CONNECTIONS EVENT_BYTES\n"); return 2; }
  int total = atoi(argv[2]), size = atoi(argv[3]), one = 1;
  struct rlimit limit = { (rlim_t)total + 64, (rlim_t)total + 64 };
  setrlimit(RLIMIT_NOFILE, &limit);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])) };
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) { perror("floor"); return 1; }
  printf("listening\n");
  fflush(stdout);
  int *conns = calloc((size_t)total, sizeof *conns);
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  char request[8192];
  for (int i = 0; i < total; i++) {
    conns[i] = accept(listener, NULL, NULL);
    setsockopt(conns[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (read(conns[i], request, sizeof request) <= 0 || write(conns[i], head, sizeof head - 1) < 0) return 1;
  }
  printf("ready\n");
  fflush(stdout);
  char *event = malloc((size_t)size + 32);
  int length = sprintf(event, "%x\r\n", (unsigned)size);
  memcpy(event + length, "data: ", 6);
  memset(event + length + 6, 'x', (size_t)size - 8);
  memcpy(event + length + size - 2, "\n\n\r\n", 4);
  length += size + 2;
  while (read(0, request, 1) == 1)
    for (int i = 0; i < total; i++)
      if (write(conns[i], event, (size_t)length) < 0) return 1;
  return 0;
}
